"""Connections that end with their token."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from tests.support import events
from tests.support.backend import Backend, Container, Logs
from tests.support.clock import Clock
from tests.support.issuer import AUDIENCE, Issuer, issuer
from tests.support.management_api import ManagementApi
from tests.support.network import Fault, throttled
from tests.support.stack import container, loaded

CHAT = "user123#user456"
LONG_AGO = events.now() - 60_000

type Connect = Callable[..., str]


@pytest.fixture(scope="module")
def served() -> Iterator[Issuer]:
    with issuer() as served:
        yield served


@pytest.fixture
def clock(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the containers that send and push."""
    clock = Clock()
    for each in (backend.send_message, backend.send_file):
        monkeypatch.setattr(each.modules["chat.connections"], "time", clock)
    monkeypatch.setattr(backend.send_message.modules["chat.catch_up"], "time", clock)
    return clock


def on_connect(served: Issuer, api: ManagementApi, scratch: Path, **parameters: str) -> Container:
    stack = loaded(scratch, JwtIssuer=served.url, JwtAudience=AUDIENCE, **parameters)
    (function,) = (each for each in stack.functions.values() if each.code.name == "on_connect")
    with mock_aws():
        return container(function, stack, api)


def connecting(backend: Backend, served: Issuer, function: Container) -> Connect:
    """Return how to connect with a token that expires in 100 seconds."""

    def connect(user_id: str, *, connected_at: int = LONG_AGO, **query: str) -> str:
        connection_id = events.new_id()
        token = served.token(user_id, exp=events.now() // 1000 + 100)
        event = events.connect(connection_id, {"token": token, **query}, connected_at=connected_at)
        assert function(event) == {"statusCode": 200}
        backend.api.open.add(connection_id)
        return connection_id

    return connect


@pytest.fixture
def connect(backend: Backend, served: Issuer, api: ManagementApi, tmp_path: Path) -> Connect:
    return connecting(backend, served, on_connect(served, api, tmp_path))


def errors(backend: Backend, connection_id: str) -> list[tuple[str, str]]:
    received = backend.api.received(connection_id)
    return [(each["type"], each.get("code", "")) for each in received]


FRAMES = [
    {"action": "sendmessage", "chatId": CHAT, "text": "x", "clientMessageId": "c-1"},
    {"action": "sendmessage", "chatId": CHAT, "typing": True, "clientMessageId": "c-1"},
    {"action": "getmessages", "chatId": CHAT, "clientMessageId": "c-1"},
    {"action": "getmessages", "since": 0, "clientMessageId": "c-1"},
    {"action": "sendfile", "chatId": CHAT, "fileKey": "x", "clientMessageId": "c-1"},
]


def test_expiry_is_stored_with_the_connection_and_with_its_user(
    backend: Backend, connect: Connect
) -> None:
    connection_id = connect("user123")
    by_user, by_id = sorted(backend.rows("ChatConnections"), key=len)
    assert by_user[connection_id] == {
        "connectedAt": LONG_AGO,
        "expiresAt": by_id["expiresAt"],
    }
    assert 0 <= events.now() // 1000 + 100 - by_id["expiresAt"] <= 60
    # The rows are kept for a day all the same: another connection of the user may last longer.
    assert by_user["ttl"] == by_id["ttl"] == LONG_AGO // 1000 + 24 * 60 * 60


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_frame_after_the_expiry_gets_unauthorized_and_closes_the_connection(
    backend: Backend, connect: Connect, clock: Clock, frame: dict[str, Any]
) -> None:
    connection_id = connect("user123")
    clock.slept_s = 101
    reply = backend.reply_to(connection_id, frame)
    (error,) = backend.api.received(connection_id)
    assert error == backend.frame_of(reply)
    assert reply["statusCode"] == 401
    assert error["code"] == "unauthorized"
    assert error["action"] == frame["action"]
    assert error["clientMessageId"] == "c-1"
    assert backend.api.closed == [connection_id]
    assert backend.messages() == []


@pytest.mark.parametrize("frame", FRAMES[:4], ids=str)
def test_frame_before_the_expiry_is_answered(
    backend: Backend, connect: Connect, clock: Clock, frame: dict[str, Any]
) -> None:
    connection_id = connect("user123")
    backend.say(connection_id, CHAT, "x")
    clock.slept_s = 98
    assert backend.reply_to(connection_id, frame)["statusCode"] == 200
    assert backend.api.closed == []


def test_warm_container_notices_the_expiry(
    backend: Backend, connect: Connect, clock: Clock
) -> None:
    connection_id = connect("user123")
    backend.say(connection_id, CHAT, "x")
    clock.slept_s = 101
    assert backend.send(connection_id, FRAMES[0])["code"] == "unauthorized"


def test_push_after_the_expiry_closes_the_connection_instead(
    backend: Backend, connect: Connect, clock: Clock
) -> None:
    expired, other = connect("user456"), backend.connect("user456")
    sender = backend.connect("user123")
    assert backend.say(sender, CHAT, "before")["delivered"] == 2
    clock.slept_s = 101
    assert backend.say(sender, CHAT, "after")["delivered"] == 1
    assert [each["text"] for each in backend.api.messages(expired)] == ["before"]
    assert [each["text"] for each in backend.api.messages(other)] == ["before", "after"]
    assert backend.api.closed == [expired]
    assert backend.listed("user456") == {other}
    assert not backend.knows(expired)


def test_expired_connection_that_cannot_be_closed_is_closed_by_the_next_push(
    backend: Backend, connect: Connect, clock: Clock
) -> None:
    expired, sender = connect("user456"), backend.connect("user123")
    clock.slept_s = 101
    backend.api.broken[expired] = 500
    backend.say(sender, CHAT, "one")
    assert backend.listed("user456") == {expired}
    backend.api.broken.clear()
    backend.say(sender, CHAT, "two")
    assert backend.api.closed == [expired]
    assert backend.api.received(expired) == []
    assert backend.listed("user456") == set()


def test_catch_up_after_the_expiry_pushes_nothing_and_closes_the_connection(
    backend: Backend, connect: Connect, clock: Clock
) -> None:
    backend.say(backend.connect("user123"), CHAT, "missed")
    expired = connect("user456", since="0")
    clock.slept_s = 101
    backend.run_queue()
    assert backend.api.received(expired) == []
    assert backend.api.closed == [expired]


def test_catch_up_during_which_the_token_expires_pushes_nothing_more(
    backend: Backend, connect: Connect, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = backend.connect("user123")
    for _ in range(20):
        backend.say(sender, CHAT, "x" * 4096)
    post, asking = backend.api.post, connect("user456")

    def post_slowly(connection_id: str, data: bytes) -> int:
        clock.slept_s += 60
        return post(connection_id, data)

    monkeypatch.setattr(backend.api, "post", post_slowly)
    reply = backend.send(asking, {"action": "getmessages", "since": 0})
    assert reply["code"] == "unauthorized"
    assert errors(backend, asking) == [("messages", ""), ("messages", "")]
    assert backend.api.closed == [asking]


def test_client_that_reconnects_with_a_fresh_token_misses_nothing(
    backend: Backend, served: Issuer, api: ManagementApi, tmp_path: Path, clock: Clock
) -> None:
    connect = connecting(backend, served, on_connect(served, api, tmp_path))
    expired, sender = connect("user456"), backend.connect("user123")
    until = backend.send(expired, {"action": "getmessages", "since": 0})["until"]
    clock.slept_s = 101
    message_id = backend.say(sender, CHAT, "while away")["messageId"]
    assert backend.api.closed == [expired]
    clock.slept_s = 0  # a token that is fresh on this clock
    again = connect("user456", connected_at=events.now(), since=str(until))
    backend.run_queue()
    assert [each["messageId"] for each in backend.api.messages(again)] == [message_id]


def test_connection_outlives_its_token_where_that_is_turned_off(
    backend: Backend, served: Issuer, api: ManagementApi, tmp_path: Path, clock: Clock
) -> None:
    function = on_connect(served, api, tmp_path, CloseExpiredConnections="false")
    connection_id = connecting(backend, served, function)("user456")
    clock.slept_s = 7000
    sender = backend.connect("user123")
    assert backend.say(sender, CHAT, "x")["delivered"] == 1
    assert backend.say(connection_id, CHAT, "y")["delivered"] == 1
    assert backend.api.closed == []


def test_frame_of_an_unknown_connection_closes_it(backend: Backend) -> None:
    unknown = events.new_id()
    backend.api.open.add(unknown)
    assert backend.send(unknown, FRAMES[0])["code"] == "unauthorized"
    assert errors(backend, unknown) == [("error", "unauthorized")]
    assert backend.api.closed == [unknown]


def test_unavailable_table_closes_no_connection(backend: Backend, logs: Logs) -> None:
    connection_id = backend.connect("user123")
    with backend.wire.broken(Fault("dynamodb.GetItem", throttled)):
        assert backend.send(connection_id, FRAMES[0])["code"] == "unavailable"
    assert backend.api.closed == []
    assert any(line.get("message") == "refused" for line in logs())
