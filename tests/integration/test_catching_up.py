import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support import events
from tests.support.backend import Backend, Logs
from tests.support.network import (
    Fault,
    Network,
    failing,
    index_behind,
    killed_before,
    lost_on_its_way,
    throttled,
)
from tests.support.stack import container

CHAT = "user123#user456"
THEN = 1764000000000


# Two of these do not fit into one frame.
FILLS_A_FRAME = "😀" * 4000


def texts(backend: Backend, connection_id: str) -> list[str]:
    """List what a connection received, without the padding."""
    return [
        message["text"].removesuffix(FILLS_A_FRAME)
        for message in backend.api.messages(connection_id)
    ]


def limit_catch_up(backend: Backend, **limits: float) -> None:
    """Give send_message other limits for a catch-up."""
    module = backend.send_message.module
    catch_up = module.catch_up
    module.catch_up = type(catch_up)(
        module.connections, module.messages, module.files, module.push, **limits
    )


@pytest.fixture(autouse=True)
def usual_limits(backend: Backend) -> Any:
    usual = backend.send_message.module.catch_up
    yield
    backend.send_message.module.catch_up = usual


def test_missed_messages_arrive_in_one_frame_then_synced(backend: Backend) -> None:
    sender = backend.connect("user123")
    acks = [backend.say(sender, CHAT, str(number), at=THEN + number) for number in range(5)]
    back = backend.connect("user456", connected_at=THEN + 60_000, since="0")
    assert backend.api.received(back) == []
    backend.run_queue()
    frame, synced = backend.api.received(back)
    assert frame.keys() == {"type", "messages"}
    messages = frame["messages"]
    assert [message["messageId"] for message in messages] == [ack["messageId"] for ack in acks]
    assert messages[0] == {
        "messageId": acks[0]["messageId"],
        "chatId": CHAT,
        "senderId": "user123",
        "recipientId": "user456",
        "timestamp": THEN,
        "text": "0",
    }
    assert synced == {
        "type": "synced",
        "since": 0,
        "until": THEN + 60_000,
        "count": 5,
        "complete": True,
    }


def test_user_who_missed_nothing_gets_synced_alone(backend: Backend) -> None:
    back = backend.catch_up("user456", since=0)
    (synced,) = backend.api.received(back)
    assert (synced["type"], synced["count"], synced["complete"]) == ("synced", 0, True)


def test_handshake_without_since_runs_no_catch_up(backend: Backend, wire: Network) -> None:
    backend.say(backend.connect("user123"), CHAT, "x")
    back = backend.connect("user456")
    assert wire.queue == []
    assert backend.api.received(back) == []


def test_messages_of_all_chats_arrive_in_order_of_time(backend: Backend) -> None:
    first, second = backend.connect("user123"), backend.connect("user789")
    for number in range(6):
        sender, chat_id = ((first, CHAT), (second, "user456#user789"))[number % 2]
        backend.say(sender, chat_id, str(number), at=THEN + number)
    back = backend.catch_up("user456", since=THEN)
    assert texts(backend, back) == ["0", "1", "2", "3", "4", "5"]


def test_catch_up_holds_only_messages_to_the_user(backend: Backend) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "to user456")
    backend.say(sender, "user123#user789", "to user789")
    back = backend.catch_up("user456", since=0)
    assert texts(backend, back) == ["to user456"]
    again = backend.catch_up("user123", since=0)
    assert texts(backend, again) == []


def test_messages_of_the_60_seconds_before_since_are_included(backend: Backend) -> None:
    sender = backend.connect("user123")
    for age in (60_001, 60_000, 29_000, 0, -1):
        backend.say(sender, CHAT, str(age), at=THEN - age)
    back = backend.catch_up("user456", since=THEN)
    assert texts(backend, back) == ["60000", "29000", "0", "-1"]


def test_idempotency_record_is_never_taken_for_a_message(backend: Backend) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x", clientMessageId="1")
    back = backend.catch_up("user456", since=0)
    assert len(backend.api.received(back)) == 2


def test_catch_up_waits_until_the_handshake_is_over(backend: Backend) -> None:
    backend.say(backend.connect("user123"), CHAT, "x")
    back = backend.connect("user456", since="0")
    backend.api.open.remove(back)
    opening = threading.Timer(0.3, backend.api.open.add, [back])
    opening.start()
    backend.run_queue()
    opening.join()
    assert texts(backend, back) == ["x"]


def test_connection_that_never_opens_is_given_up(backend: Backend, logs: Logs) -> None:
    limit_catch_up(backend, push_timeout_s=0.1)
    backend.say(backend.connect("user123"), CHAT, "x")
    back = backend.connect("user456", since="0")
    backend.api.open.remove(back)
    backend.run_queue()
    assert back not in backend.connections()
    assert any(line.get("message") == "left while catching up" for line in logs())


def test_connection_that_closes_during_the_catch_up_is_removed(backend: Backend) -> None:
    sender = backend.connect("user123")
    for number in range(3):
        backend.say(sender, CHAT, str(number) + FILLS_A_FRAME, at=THEN + number)
    back = backend.connect("user456", since="0")
    backend.api.leaves_after[back] = 1
    backend.run_queue()
    assert texts(backend, back) == ["0"]
    assert backend.api.attempts[back] == 2
    assert back not in backend.connections()


def test_run_that_exceeds_max_messages_continues_at_until(backend: Backend) -> None:
    limit_catch_up(backend, max_messages=3)
    sender, other = backend.connect("user123"), backend.connect("user789")
    backend.say(sender, CHAT, "0", at=THEN)
    backend.say(sender, CHAT, "1", at=THEN + 1)
    # The bound falls between two messages of one millisecond.
    backend.say(sender, CHAT, "2", at=THEN + 2)
    backend.say(other, "user456#user789", "2'", at=THEN + 2)
    backend.say(sender, CHAT, "3", at=THEN + 3)
    seen: set[str] = set()
    since, complete = 0, False
    for _ in range(4):
        back = backend.catch_up("user456", since=since)
        synced = backend.api.received(back)[-1]
        assert synced["count"] == len(texts(backend, back)) <= 3
        seen.update(texts(backend, back))
        assert synced["until"] > since
        since, complete = synced["until"], synced["complete"]
        if complete:
            break
    assert complete
    assert seen == {"0", "1", "2", "2'", "3"}


def test_run_that_exceeds_its_time_is_not_complete(backend: Backend) -> None:
    limit_catch_up(backend, timeout_s=-1)
    backend.say(backend.connect("user123"), CHAT, "x")
    (synced,) = backend.api.received(backend.catch_up("user456", since=THEN))
    assert (synced["complete"], synced["count"]) == (False, 0)
    assert synced["until"] == THEN


def test_until_does_not_skip_a_message_that_is_stored_later(backend: Backend) -> None:
    """The bound falls among the newest messages: older ones may still come up before them."""
    limit_catch_up(backend, max_messages=1)
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "0", at=THEN - 2)
    backend.say(sender, CHAT, "2", at=THEN)
    back = backend.connect("user456", connected_at=THEN + 1, since=str(THEN - 10_000))
    backend.run_queue()
    synced = backend.api.received(back)[-1]
    assert (synced["complete"], synced["until"]) == (False, THEN + 1)
    backend.say(sender, CHAT, "1", at=THEN - 1)
    limit_catch_up(backend)
    assert texts(backend, backend.catch_up("user456", since=THEN + 1)) == [
        "0",
        "1",
        "2",
    ]


def test_catch_up_reads_all_pages_of_the_index(
    backend: Backend, wire: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.send_message.modules["chat.messages"], "_PAGE_SIZE", 100)
    sender = backend.connect("user123")
    for number in range(230):
        backend.say(sender, CHAT, str(number), at=THEN + number)
    back = backend.connect("user456", since="0")
    before = wire.calls.count("dynamodb.Query")
    backend.run_queue()
    assert texts(backend, back) == [str(number) for number in range(230)]
    # Three pages, and what arrived lately once more.
    assert wire.calls.count("dynamodb.Query") - before == 3 + 1


@pytest.mark.parametrize("fault", [throttled, failing, lost_on_its_way])
def test_catch_up_that_fails_is_run_again_by_lambda(
    backend: Backend, wire: Network, fault: Any
) -> None:
    sender = backend.connect("user123")
    for number in range(3):
        backend.say(sender, CHAT, str(number), at=THEN + number)
    back = backend.connect("user456", since="0")
    with wire.broken(Fault("dynamodb.Query", fault, times=2)):
        backend.run_queue()
    assert texts(backend, back) == ["0", "1", "2"]
    assert backend.api.received(back)[-1]["type"] == "synced"


def test_interrupted_catch_up_is_repeated_from_its_start(backend: Backend) -> None:
    limit_catch_up(backend, push_timeout_s=0)
    sender = backend.connect("user123")
    for number in range(3):
        backend.say(sender, CHAT, str(number) + FILLS_A_FRAME, at=THEN + number)
    back = backend.connect("user456", since="0")
    backend.api.fails_after[back] = 2
    backend.run_queue()
    assert texts(backend, back) == ["0", "1", "0", "1", "2"]
    assert backend.api.received(back)[-1]["type"] == "synced"


def test_catch_up_waits_for_a_client_that_reads_slowly(backend: Backend) -> None:
    sender = backend.connect("user123")
    for number in range(3):
        backend.say(sender, CHAT, str(number), at=THEN + number)
    back = backend.connect("user456", since="0")
    # 429: the client's buffer is full.
    backend.api.broken[back] = 429
    reading = threading.Timer(0.2, backend.api.broken.pop, [back])
    reading.start()
    backend.run_queue()
    reading.join()
    assert texts(backend, back) == ["0", "1", "2"]


def test_catch_up_that_fails_sends_no_synced(backend: Backend) -> None:
    limit_catch_up(backend, push_timeout_s=0)
    backend.say(backend.connect("user123"), CHAT, "x")
    back = backend.connect("user456", since="0")
    backend.api.broken[back] = 500
    with pytest.raises(Exception, match="took no message"):
        backend.run_queue()
    assert backend.api.received(back) == []
    assert back in backend.connections()


def test_handshake_is_refused_if_its_catch_up_cannot_be_queued(
    backend: Backend, wire: Network
) -> None:
    event = events.connect(events.new_id(), {"userId": "user456", "since": "0"})
    with wire.broken(Fault("lambda.Invoke", throttled)):
        reply = backend.on_connect(event)
    assert reply["statusCode"] == 503


@pytest.mark.parametrize("since", ["", "-1", "1.5", "abc", "1e3", " 1", "٣", "9" * 17, "0x1"])
def test_since_that_is_no_whole_number_is_refused_with_400(backend: Backend, since: str) -> None:
    reply = backend.on_connect(
        events.connect(events.new_id(), {"userId": "user456", "since": since})
    )
    assert reply["statusCode"] == 400
    assert backend.connections() == {}


@pytest.mark.parametrize("since", [0, THEN, 10**16 - 1])
def test_since_may_be_any_whole_number(backend: Backend, since: int) -> None:
    (synced,) = backend.api.received(backend.catch_up("user456", since=since))
    assert synced["since"] == min(since, synced["until"])


def test_handshake_with_since_makes_one_more_call(backend: Backend, wire: Network) -> None:
    wire.calls.clear()
    backend.connect("user456", since="0")
    *side_by_side, last = wire.calls
    assert sorted(side_by_side) == ["dynamodb.PutItem", "dynamodb.UpdateItem"]
    assert last == "lambda.Invoke"


@pytest.mark.parametrize("ahead_ms", [1, 120_000, 3_600_000, THEN * 1000 - THEN])
def test_since_of_a_clock_that_is_ahead_skips_no_message(backend: Backend, ahead_ms: int) -> None:
    first = backend.connect("user456", connected_at=THEN, since=str(THEN + ahead_ms))
    backend.run_queue()
    (synced,) = backend.api.received(first)
    assert (synced["since"], synced["until"]) == (THEN, THEN)
    backend.api.open.remove(first)
    backend.say(backend.connect("user123"), CHAT, "missed", at=THEN + 5)
    again = backend.connect("user456", connected_at=THEN + 10, since=str(synced["until"]))
    backend.run_queue()
    assert texts(backend, again) == ["missed"]


def test_message_that_the_index_shows_late_arrives_after_synced(
    backend: Backend, wire: Network, logs: Logs
) -> None:
    backend.say(backend.connect("user123"), CHAT, "late", at=events.now() - 100)
    back = backend.connect("user456", since="0")
    logs()
    with wire.broken(Fault("dynamodb.Query", index_behind, times=1)):
        backend.run_queue()
    synced, late = backend.api.received(back)
    assert (synced["type"], synced["count"], late["type"]) == ("synced", 0, "messages")
    assert texts(backend, back) == ["late"]
    assert sum(line.get("FoundLate", [0])[0] for line in logs()) == 1


def test_second_look_that_fails_is_repeated(backend: Backend, wire: Network) -> None:
    backend.say(backend.connect("user123"), CHAT, "late", at=events.now() - 100)
    back = backend.connect("user456", since="0")
    # botocore tries twice.
    with wire.broken(
        Fault("dynamodb.Query", index_behind, times=1), Fault("dynamodb.Query", failing, times=2)
    ):
        backend.run_queue()
    assert texts(backend, back) == ["late"]


def test_connection_that_leaves_before_the_second_look_loses_its_rows(
    backend: Backend, wire: Network
) -> None:
    backend.say(backend.connect("user123"), CHAT, "late", at=events.now() - 100)
    back = backend.connect("user456", since="0")
    backend.api.leaves_after[back] = 1
    with wire.broken(Fault("dynamodb.Query", index_behind, times=1)):
        backend.run_queue()
    assert not backend.knows(back)
    assert backend.listed("user456") == set()


# --- one replay of a connection at a time ---------------------------------------------------------


@pytest.fixture
def missed(backend: Backend) -> list[str]:
    """Three messages to user456, in a frame each."""
    sender = backend.connect("user123")
    for number in range(3):
        backend.say(sender, CHAT, str(number) + FILLS_A_FRAME, at=THEN + number)
    return ["0", "1", "2"]


def mark_of(backend: Backend, connection_id: str) -> dict[str, Any]:
    (row,) = (
        each for each in backend.rows("ChatConnections") if each["connectionId"] == connection_id
    )
    return {name: value for name, value in row.items() if name.startswith("catchUp")}


def begin_elsewhere(backend: Backend, connection_id: str, *, until: int) -> None:
    """Mark a connection, as a run in another container does."""
    backend.dynamodb.update_item(
        TableName="ChatConnections",
        Key={"connectionId": {"S": connection_id}},
        UpdateExpression="SET catchUpId = :id, catchUpUntil = :until",
        ExpressionAttributeValues={":id": {"S": "another"}, ":until": {"N": str(until)}},
    )


GET_MESSAGES = {"action": "getmessages", "since": 0}


def test_second_catch_up_of_a_connection_is_unavailable_until_the_first_has_ended(
    backend: Backend, missed: list[str], stack: Any
) -> None:
    """The second is in another container."""
    back = backend.connect("user456")
    (function,) = (each for each in stack.functions.values() if each.code.name == "send_message")
    other = container(function, stack, backend.api)
    gate = threading.Event()
    backend.api.gates[back] = gate
    with ThreadPoolExecutor(1) as first:
        synced = first.submit(backend.send, back, GET_MESSAGES)
        while not backend.api.attempts[back]:
            assert not synced.done()
        reply = other(events.message(back, GET_MESSAGES))
        gate.set()
        assert synced.result()["count"] == 3
    error = backend.frame_of(reply)
    assert (reply["statusCode"], error["code"], error["retryAfterMs"]) == (503, "unavailable", 1000)
    assert texts(backend, back) == missed
    assert mark_of(backend, back) == {}
    assert backend.frame_of(other(events.message(back, GET_MESSAGES)))["count"] == 3


def test_catch_up_of_another_connection_of_the_user_is_not_refused(
    backend: Backend, missed: list[str]
) -> None:
    busy, back = backend.connect("user456"), backend.connect("user456")
    begin_elsewhere(backend, busy, until=events.now() // 1000 + 20)
    assert backend.send(back, GET_MESSAGES)["count"] == len(missed)


def test_mark_of_a_run_that_ended_without_a_word_expires(
    backend: Backend, missed: list[str]
) -> None:
    back = backend.connect("user456")
    begin_elsewhere(backend, back, until=events.now() // 1000 + 20)
    assert backend.send(back, GET_MESSAGES)["code"] == "unavailable"
    begin_elsewhere(backend, back, until=events.now() // 1000 - 1)
    assert backend.send(back, GET_MESSAGES)["count"] == len(missed)


def test_catch_up_of_a_handshake_waits_for_another_and_is_run_again(
    backend: Backend, missed: list[str]
) -> None:
    back = backend.connect("user456", since="0")
    begin_elsewhere(backend, back, until=events.now() // 1000 + 20)
    (event,) = backend.wire.queue
    with pytest.raises(Exception, match="is running"):
        backend.send_message(event)
    assert backend.api.received(back) == []
    begin_elsewhere(backend, back, until=events.now() // 1000 - 1)
    backend.run_queue()
    assert texts(backend, back) == missed


def test_request_whose_run_was_killed_runs_again_at_once(
    backend: Backend, missed: list[str], wire: Network
) -> None:
    back = backend.connect("user456", since="0")
    with wire.broken(Fault("apigatewaymanagementapi.PostToConnection", killed_before, times=1)):
        backend.run_queue()
    assert texts(backend, back) == missed
    assert mark_of(backend, back) == {}


def test_failed_catch_up_leaves_no_mark(backend: Backend, missed: list[str]) -> None:
    limit_catch_up(backend, push_timeout_s=0)
    back = backend.connect("user456")
    backend.api.broken[back] = 500
    assert backend.send(back, GET_MESSAGES)["code"] == "unavailable"
    del backend.api.broken[back]
    assert backend.send(back, GET_MESSAGES)["count"] == len(missed)


def test_mark_that_cannot_be_removed_does_not_fail_the_catch_up(
    backend: Backend, missed: list[str], wire: Network
) -> None:
    back = backend.connect("user456")
    with wire.broken(Fault("dynamodb.UpdateItem", throttled, after=1)):
        assert backend.send(back, GET_MESSAGES)["count"] == len(missed)
    assert mark_of(backend, back).keys() == {"catchUpId", "catchUpUntil"}


def test_catch_up_that_finds_nothing_makes_no_write(backend: Backend, wire: Network) -> None:
    back = backend.connect("user456")
    backend.send(back, GET_MESSAGES)
    wire.calls.clear()
    backend.send(back, GET_MESSAGES)
    assert wire.calls == ["dynamodb.Query"]


@pytest.mark.usefixtures("missed")
def test_catch_up_that_finds_something_makes_two_writes(backend: Backend, wire: Network) -> None:
    back = backend.connect("user456")
    wire.calls.clear()
    backend.send(back, GET_MESSAGES)
    assert wire.calls.count("dynamodb.UpdateItem") == 2


@pytest.mark.usefixtures("missed")
def test_catch_up_of_a_connection_that_was_closed_before_pushes_nothing(backend: Backend) -> None:
    """The connection limit closed it, and removed its rows, while its catch-up was queued."""
    limit = backend.on_connect.module.connection_limit
    usual, limit._max_connections = limit._max_connections, 1
    back = backend.connect("user456", connected_at=events.now() - 60_000, since="0")
    backend.connect("user456")
    limit._max_connections = usual
    assert backend.api.closed == [back]
    backend.run_queue()
    assert backend.api.attempts[back] == 0
    assert not backend.knows(back)
    assert back not in backend.listed("user456")


def test_catch_up_of_a_connection_that_is_closed_before_its_first_push_ends_at_once(
    backend: Backend, logs: Logs
) -> None:
    """Nothing was missed, so that the first push is that of `synced`."""
    back = backend.connect("user456", since="0")
    backend.api.open.remove(back)
    backend.on_disconnect(events.disconnect(back))
    backend.run_queue()
    assert backend.api.attempts[back] == 1
    assert any(line.get("message") == "left while catching up" for line in logs())
    assert not backend.knows(back)
    assert back not in backend.listed("user456")
