"""One message, one connect, its catch-up and one disconnect, in every order of their calls.

B, who has one connection, opens another and asks it to catch up; A sends B a message; B's older
connection ends. The code is the real code, down to the clients of DynamoDB, Lambda and
@connections, which are fakes here. `Aws` and `_Clock` say what is assumed of AWS and of time.

In every order B's new connection receives the message. Each rule that this rests on is broken once,
to show that the search finds the order in which the message is then missed. The file takes over ten
seconds because that is six searches, the largest of 20,000 states and 55,000 steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import FunctionType, MappingProxyType, SimpleNamespace
from typing import Any, Self, cast

import pytest
from botocore.exceptions import ClientError

from chat import (
    aws,
    catch_up,
    connection_limit,
    connections,
    delivery,
    fan_out,
    messages,
    push,
    retry,
)
from chat.catch_up import INDEX_LAG_S, CatchUp
from chat.catch_up_request import CatchUpQueue, CatchUpRequest
from chat.chats import UserId
from chat.client_frame import ClientFrame
from chat.connection_limit import ConnectionLimit
from chat.connections import Connection, ConnectionId, Connections
from chat.delivery import Delivery
from chat.fan_out import FanOut
from chat.files import Files
from chat.messages import Message, Messages
from chat.push import Push
from chat.retry import deadline_in
from chat.server_frames import Ack
from tests.faults.interleavings import Explored, Explorer, State, Violation

type Item = Mapping[str, Any]

A, B = UserId("ann"), UserId("bob")
SENDER = ConnectionId("ann-1")
OLD, NEW = ConnectionId("bob-old"), ConnectionId("bob-new")
NOW = 1764000000000
HOUR_MS = 3_600_000
# A push is tried again once while a handshake goes on, and then given up. Each further attempt adds
# 6,500 states. Without a second attempt, and with a third, the search found no violation either.
OPENING_TIMEOUT_S = 0.06


def message(message_id: str, *, at: int, client_message_id: str | None = None) -> Message:
    return Message(
        message_id=message_id,
        chat_id=f"{A}#{B}",
        sender_id=A,
        recipient_id=B,
        timestamp=at,
        text="hello",
        client_message_id=client_message_id,
    )


MISSED = message("missed", at=NOW - HOUR_MS)


SENT = ClientFrame({"chatId": f"{A}#{B}", "text": "hello"})
SENT_WITH_ID = ClientFrame({"chatId": f"{A}#{B}", "text": "hello", "clientMessageId": "c-1"})


class Refused(ClientError):
    """An answer with an error."""

    def __init__(self, status: int, **answer: Any) -> None:
        code = type(self).__name__
        answer |= {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        super().__init__(cast("Any", answer), "Any")


class GoneException(Refused):
    """@connections has no such connection, or not yet."""


class ConditionalCheckFailedException(Refused):
    """The row is there and must not be, or is not there and must be."""


class TransactionCanceledException(Refused):
    """A transaction wrote nothing."""


@dataclass
class Aws:
    """The two tables, the index, Lambda's queue and the open connections.

    Attributes:
        connections: The rows of ``ChatConnections``, by key. A read is strongly consistent.
        messages: The rows of ``ChatMessages``, by key, in the order they were stored.
        shown: The ids of the messages that the index shows.
        queue: The events that Lambda has to run.
        open: The connections that take posts; not one whose handshake goes on.
        received: The frames that were posted, each with its connection.
    """

    connections: dict[str, Item] = field(default_factory=dict)
    messages: dict[tuple[str, str], Item] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    queue: tuple[bytes, ...] = ()
    open: frozenset[str] = frozenset()
    received: tuple[tuple[str, bytes], ...] = ()

    def copy(self) -> Self:
        # Rows are replaced, never changed.
        return replace(self, connections=dict(self.connections), messages=dict(self.messages))

    def contents(self) -> object:
        rows = sorted((key, sorted(row.items())) for key, row in self.connections.items())
        # A message is never changed. Which device got a frame first makes no difference.
        stored, received = list(self.messages), sorted(self.received)
        return rows, stored, sorted(self.shown), self.queue, sorted(self.open), received

    def now(self) -> float:
        return len(self.stored_ids()) * 1e-6

    def frames_of(self, connection_id: str) -> list[dict[str, Any]]:
        return [json.loads(data) for to, data in self.received if to == connection_id]

    def is_stored(self, message_id: str) -> bool:
        return message_id in self.stored_ids()

    def stored_ids(self) -> list[str]:
        return [row["messageId"]["S"] for row in self.messages.values() if "text" in row]

    def show(self, message_id: str) -> None:
        self.shown |= {message_id}

    def put(self, TableName: str, Item: Item, **condition: str) -> None:  # noqa: N803
        if TableName == "connections":
            assert not condition
            self.connections[Item["connectionId"]["S"]] = Item
            return
        # The other cases are rows that have expired, and nothing expires here.
        assert condition["ConditionExpression"].startswith("attribute_not_exists(chatId)")
        if in_the_way := self.messages.get(_key(Item)):
            raise ConditionalCheckFailedException(400, Item=in_the_way)
        self.messages[_key(Item)] = Item

    def put_all(self, TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
        puts = [each["Put"] for each in TransactItems]
        if any(_key(put["Item"]) in self.messages for put in puts):
            raise TransactionCanceledException(400)
        for put in puts:
            self.put(**put)

    def update(
        self,
        TableName: str,  # noqa: N803
        Key: Item,  # noqa: N803
        UpdateExpression: str,  # noqa: N803
        ExpressionAttributeNames: Mapping[str, str] = MappingProxyType({}),  # noqa: N803
        ExpressionAttributeValues: Item | None = None,  # noqa: N803
        ConditionExpression: str | None = None,  # noqa: N803
        ReturnValues: str = "NONE",  # noqa: N803
        **_more: object,
    ) -> Item:
        assert TableName == "connections"
        key = Key["connectionId"]["S"]
        if ConditionExpression and key not in self.connections:
            raise ConditionalCheckFailedException(400)
        row = dict(self.connections.get(key, Key))
        if ConditionExpression not in {None, "attribute_exists(connectionId)"}:
            # A catch-up marks its connection. There is one catch-up here, and its mark is its own.
            assert "catchUpId = :id" in str(ConditionExpression)
            assert row.get("catchUpId") in [None, (ExpressionAttributeValues or {})[":id"]]
        action, _, clauses = UpdateExpression.partition(" ")
        for clause in clauses.split(", "):
            name, _, value = clause.partition(" = ")
            if action == "SET":
                changed = ExpressionAttributeNames.get(name, name)
                row[changed] = (ExpressionAttributeValues or {})[value]
            else:
                assert action == "REMOVE"
                row.pop(ExpressionAttributeNames.get(name, name), None)
        self.connections[key] = row
        return {"Attributes": row} if ReturnValues == "ALL_NEW" else {}

    def delete(self, TableName: str, Key: Item, ReturnValues: str) -> Item:  # noqa: N803
        assert (TableName, ReturnValues) == ("connections", "ALL_OLD")
        row = self.connections.pop(Key["connectionId"]["S"], None)
        return {"Attributes": row} if row else {}

    def get(self, TableName: str, Key: Item, ConsistentRead: bool, **_: object) -> Item:  # noqa: N803
        assert TableName == "connections"
        assert ConsistentRead, "only strongly consistent reads are imitated"
        row = self.connections.get(Key["connectionId"]["S"])
        return {"Item": row} if row else {}

    def get_all(self, RequestItems: Mapping[str, Any]) -> Item:  # noqa: N803
        ((table, wanted),) = RequestItems.items()
        assert table == "connections"
        assert wanted["ConsistentRead"], "only strongly consistent reads are imitated"
        keys = [key["connectionId"]["S"] for key in wanted["Keys"]]
        rows = [self.connections[key] for key in keys if key in self.connections]
        return {"Responses": {table: rows}, "UnprocessedKeys": {}}

    def query(
        self,
        TableName: str,  # noqa: N803
        IndexName: str,  # noqa: N803
        ExpressionAttributeValues: Item,  # noqa: N803
        **_: object,
    ) -> Item:
        assert (TableName, IndexName) == ("messages", "recipientId-index")
        since = int(ExpressionAttributeValues[":since"]["N"])
        found = [
            row
            for row in self.messages.values()
            if row["messageId"]["S"] in self.shown
            and row.get("recipientId") == ExpressionAttributeValues[":userId"]
            and int(row["timestamp"]["N"]) >= since
        ]
        return {"Items": sorted(found, key=lambda row: int(row["timestamp"]["N"]))}

    def invoke(self, Payload: bytes, **_: object) -> None:  # noqa: N803
        self.queue = (*self.queue, Payload)

    def post(self, ConnectionId: str, Data: bytes) -> None:  # noqa: N803
        if ConnectionId not in self.open:
            raise GoneException(410)
        self.received = (*self.received, (ConnectionId, Data))

    def open_connection(self, connection_id: str) -> None:
        self.open |= {connection_id}

    def end_connection(self, connection_id: str) -> None:
        self.open -= {connection_id}


def _key(row: Item) -> tuple[str, str]:
    return row["chatId"]["S"], row["timestamp"]["N"]


class _Clients:
    """The clients of DynamoDB, Lambda and @connections. Each call is a step."""

    exceptions = SimpleNamespace(
        GoneException=GoneException,
        ConditionalCheckFailedException=ConditionalCheckFailedException,
        TransactionCanceledException=TransactionCanceledException,
    )

    def __init__(self, explorer: Explorer[Aws]) -> None:
        self._explorer = explorer
        self.put_item = self._imitate(Aws.put)
        self.transact_write_items = self._imitate(Aws.put_all)
        self.update_item = self._imitate(Aws.update)
        self.delete_item = self._imitate(Aws.delete)
        self.get_item = self._imitate(Aws.get)
        self.batch_get_item = self._imitate(Aws.get_all)
        self.invoke = self._imitate(Aws.invoke)
        self.post_to_connection = self._imitate(Aws.post)

    def get_paginator(self, operation: str) -> SimpleNamespace:
        assert operation == "query"
        return SimpleNamespace(paginate=self._paginate)

    def _paginate(self, **request: Any) -> Iterator[Item]:
        yield self._imitate(Aws.query)(**request)

    def _imitate(self, operation: Callable[..., object]) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            label = _label(operation.__name__, request)
            return self._explorer.call(label, lambda world: operation(world, **request))

        return call


def _label(operation: str, request: Mapping[str, Any]) -> str:
    match request:
        case {"ConnectionId": connection_id, "Data": data}:
            frame = json.loads(data)
            return f"post {' and '.join(_shown(frame))} to {connection_id}"
        case {"Key": {"connectionId": {"S": key}}}:
            return f"{operation} the row of {key}"
        case {"Item": {"connectionId": {"S": key}}}:
            return f"{operation} the row of {key}"
        case {"Item": {"messageId": {"S": key}}}:
            return f"{operation} the message {key}"
        case {"RequestItems": _}:
            return "look the connections up"
        case _:
            return operation


def _shown(frame: Mapping[str, Any]) -> list[str]:
    """Return the ids of the messages in a frame, or the type of one without messages."""
    if frame["type"] == "messages":
        return [message["messageId"] for message in frame["messages"]]
    return [frame.get("messageId", frame["type"])]


class _Clock:
    """Time, in place of the module `time`.

    Any time may pass at each step, so a clock has no more to show than which messages were stored
    before it was read. `Aws.now` is their number, in microseconds.

    A sleep takes at least as long as it should, so at its end the index shows every message that
    was stored `INDEX_LAG_S` before. Of a sleep between two attempts to push nothing else is known,
    except in a catch-up: that tries for longer than any handshake takes, so the handshake is over.
    """

    def __init__(self, explorer: Explorer[Aws], *, outlasts_handshake: bool = False) -> None:
        self._explorer = explorer
        self._outlasts_handshake = outlasts_handshake

    def time(self) -> float:
        return NOW / 1000

    def monotonic(self) -> float:
        return self._explorer.now()

    def sleep(self, seconds: float) -> None:
        stored_before = round((self.monotonic() + seconds - INDEX_LAG_S) * 1e6)

        def may_end(world: Aws) -> bool:
            if self._outlasts_handshake and NEW not in world.open:
                return False
            return world.shown.issuperset(world.stored_ids()[: max(0, stored_before)])

        self._explorer.call("sleep", lambda _: None, may_end)


class Actors:
    """The actors.

    Attributes:
        ways: The ways in which B's new connection received the message: its frames, in order.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        fan_out_class: type[FanOut] = FanOut,
        delivery_class: type[Delivery] = Delivery,
        catch_up_class: type[CatchUp] = CatchUp,
        missed: tuple[Message, ...] = (),
        sent: ClientFrame = SENT,
    ) -> None:
        self.explorer = Explorer[Aws]()
        self.clients = clients = cast("Any", _Clients(self.explorer))
        _patch(monkeypatch, self.explorer, clients)
        self.connections = Connections(clients, "connections")
        self.messages = Messages(clients, "messages")
        files = Files(clients, "files", max_bytes=1, shows_in_place=False)
        push = Push(clients)
        to_all = fan_out_class(self.connections, push)
        self.delivery = delivery_class(self.messages, files, to_all)
        self.catch_up = catch_up_class(self.connections, self.messages, files, push)
        self.missed = missed
        self.sent = sent
        self.limit = ConnectionLimit(self.connections, Push(clients), 0)
        self.ways: set[tuple[str, ...]] = set()

    def explore(self) -> Explored:
        """Search every order of the actors' calls."""
        return self.explorer.explore(
            self._before(),
            {
                "send": partial(
                    self.delivery.send,
                    self.sent,
                    user_id=A,
                    came_from=SENDER,
                    received_at=NOW + 1,
                ),
                "connect": self._connect,
                "catch-up": self._catch_up,
                "disconnect": self._disconnect,
                "index": self._index,
            },
            self._check,
        )

    def _before(self) -> Aws:
        world = Aws(open=frozenset({SENDER, OLD}))
        for connection_id, user_id in ((SENDER, A), (OLD, B)):
            times = {"connectedAt": {"N": str(NOW - HOUR_MS)}}
            key = {"S": f"user#{user_id}"}
            row = {"connectionId": {"S": connection_id}, "userId": {"S": user_id}} | times
            world.connections |= {
                connection_id: row,
                key["S"]: {"connectionId": key, connection_id: {"M": times}},
            }
        for each in self.missed:
            world.put(**_put(each))
            world.show(each.message_id)
        return world

    def _connect(self) -> None:
        """Do what on_connect does, then what API Gateway does."""
        self.limit.admit(Connection(NEW, B, NOW))
        request = CatchUpRequest(NEW, B, "handshake", since=0, asked_at=NOW)
        CatchUpQueue(self.clients, "send_message").put(request)
        self.explorer.call("handshake ends", lambda world: world.open_connection(NEW))

    def _catch_up(self) -> None:
        """Do what Lambda does with its queue, then what send_message does."""
        payload = self.explorer.call(
            "begin", lambda world: world.queue[0], lambda world: bool(world.queue)
        )
        request = CatchUpRequest.in_event(json.loads(payload))
        assert request
        self.catch_up.run(request)

    def _disconnect(self) -> None:
        """Do what API Gateway does, then what on_disconnect does."""
        self.explorer.call(f"{OLD} ends", lambda world: world.end_connection(OLD))
        self.connections.remove(OLD)

    def _index(self) -> None:
        sent = "sent"
        self.explorer.call(
            f"show {sent}", lambda world: world.show(sent), lambda world: world.is_stored(sent)
        )

    def _check(self, end: State[Aws]) -> None:
        """Check that B's new connection has everything, and that only the old one is forgotten."""
        acknowledged = end.strands["send"].ended
        assert acknowledged
        assert acknowledged.result["type"] == "ack"
        frames = end.world.frames_of(NEW)
        received = tuple(shown for frame in frames for shown in _shown(frame))
        wanted = {"synced", "sent", *(each.message_id for each in self.missed)}
        missing = ", ".join(wanted - set(received))
        assert not missing, f"{NEW} never received {missing}"
        self.ways.add(received)
        assert end.world.connections.keys() == {SENDER, NEW, f"user#{A}", f"user#{B}"}
        assert end.world.connections[f"user#{B}"].keys() == {"connectionId", "ttl", NEW}


def _put(stored: Message) -> dict[str, Any]:
    condition = {"ConditionExpression": "attribute_not_exists(chatId)"}
    return {"TableName": "messages", "Item": messages._to_item(stored), **condition}


def _patch(monkeypatch: pytest.MonkeyPatch, explorer: Explorer[Aws], clients: Any) -> None:
    """Replace time, threads and random numbers; count and log nothing."""
    monkeypatch.setattr(aws, "_threads", explorer)
    monkeypatch.setattr(aws, "wait", explorer.wait)
    monkeypatch.setattr(aws, "lambda_api", lambda: clients)
    monkeypatch.setattr(retry, "random", SimpleNamespace(uniform=lambda _, longest: longest))
    monkeypatch.setattr(fan_out, "_OPENING_TIMEOUT_S", OPENING_TIMEOUT_S)
    # An id that is the same each time that the sending is run again.
    monkeypatch.setattr(messages, "uuid4", lambda: "sent")
    fakes = {
        "time": _Clock(explorer),
        "logger": SimpleNamespace(info=_nothing, warning=_nothing),
        "count": _nothing,
        "record": _nothing,
    }
    for module in (
        catch_up,
        connection_limit,
        connections,
        delivery,
        fan_out,
        messages,
        push,
        retry,
    ):
        for name, fake in fakes.items():
            # Not every module uses all of them.
            monkeypatch.setattr(module, name, fake, raising=False)
    lasting = _Clock(explorer, outlasts_handshake=True)
    monkeypatch.setattr(catch_up, "time", lasting)
    # The same code, on that clock.
    attempts = FunctionType(retry.attempts.__code__, vars(retry) | {"time": lasting})
    monkeypatch.setattr(catch_up, "attempts", attempts)


def _nothing(*_: object, **__: object) -> None:
    pass


def test_new_connection_receives_the_message_in_every_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actors = Actors(monkeypatch)
    explored = actors.explore()
    print(explored)
    assert explored.orders > 10**10
    # Once or twice, by each of a live push, a first look and a second look.
    assert actors.ways == {
        ("sent", "synced"),
        ("sent", "sent", "synced"),
        ("sent", "synced", "sent"),
        ("synced", "sent"),
        ("synced", "sent", "sent"),
    }


def test_new_connection_receives_an_older_message_as_well_in_every_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actors = Actors(monkeypatch, missed=(MISSED,), sent=SENT_WITH_ID)
    print(actors.explore())
    assert ("sent", "missed", "synced", "sent") in actors.ways
    assert ("missed", "sent", "synced") in actors.ways


def test_search_finds_the_message_that_a_catch_up_without_a_second_look_misses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class LooksOnce(CatchUp):
        def _look_again(self, request: CatchUpRequest, run: Any) -> None:
            pass

    with pytest.raises(Violation, match="bob-new never received sent") as found:
        Actors(monkeypatch, catch_up_class=LooksOnce).explore()
    # Stored and looked up before the connection was registered, and not shown by the index yet.
    assert _in_order(
        found.value,
        "send: look the connections up",
        "connect/1: update the row of user#bob",
        "catch-up: query",
        "index: show sent",
    )


def test_search_finds_the_connection_that_a_lookup_before_the_write_misses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class PushesToWhatWasFound(FanOut):
        found: list[Connection]

        def look_up(self, *user_ids: UserId) -> None:
            self.found = super()._devices_of(*user_ids)

        def _devices_of(self, *_: UserId) -> list[Connection]:
            return self.found

    class LooksUpFirst(Delivery):
        def send(self, frame: ClientFrame, **more: Any) -> Ack:
            assert isinstance(self._fan_out, PushesToWhatWasFound)
            self._fan_out.look_up(B, A)
            return super().send(frame, **more)

    with pytest.raises(Violation, match="bob-new never received sent") as found:
        Actors(
            monkeypatch, delivery_class=LooksUpFirst, fan_out_class=PushesToWhatWasFound
        ).explore()
    # The whole catch-up came in between.
    assert _in_order(
        found.value,
        "send: look the connections up",
        "connect/1: update the row of user#bob",
        "send: put the message sent",
        "index: show sent",
    )


def test_search_finds_the_message_that_a_wait_from_the_start_of_a_catch_up_misses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class WaitsFromTheStart(CatchUp):
        def run(self, request: CatchUpRequest) -> None:
            self._began_at = deadline_in(0)
            super().run(request)

        def _look_again(self, request: CatchUpRequest, run: Any) -> None:
            run.opened_at = self._began_at
            super()._look_again(request, run)

    with pytest.raises(Violation, match="bob-new never received sent") as found:
        Actors(monkeypatch, catch_up_class=WaitsFromTheStart).explore()
    # Given up while the handshake went on, and shown after the second look.
    assert _in_order(
        found.value,
        "catch-up: begin",
        "send: put the message sent",
        "post sent to bob-new -> GoneException",
        "post sent to bob-new -> GoneException",
        "connect: handshake ends",
        "catch-up: post synced to bob-new",
        "catch-up: sleep",
        "catch-up: query",
        "index: show sent",
    )


def test_search_finds_strands_that_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    actors = Actors(monkeypatch)
    monkeypatch.setattr(aws, "wait", _nothing)
    with pytest.raises(Violation, match="connect left connect/1 behind"):
        actors.explore()


def _in_order(violation: Violation, *steps: str) -> bool:
    """Return whether a violation's order has these steps, in this order; print it."""
    print(violation)
    lines = iter(str(violation).splitlines())
    return all(any(line.endswith(step) for line in lines) for step in steps)
