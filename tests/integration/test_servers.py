"""A server sends by invoking send_message; an event of API Gateway is never taken for that."""

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import events
from tests.support.backend import Backend, Logs
from tests.support.network import Fault, Network, failing, throttled

CHAT = "bob#support"
MESSAGE = {"senderId": "support", "chatId": CHAT, "text": "Hello!"}
API_GATEWAYS = [
    events.connect("connection=", {"userId": "bob"}, headers={"x": "y"}, authorizer={"a": "b"}),
    events.message("connection=", {"action": "sendmessage", "send": MESSAGE}),
    events.disconnect("connection="),
]


def send(backend: Backend, **fields: Any) -> dict[str, Any]:
    return backend.send_message({"send": MESSAGE | fields})


def test_message_of_a_server_is_stored_and_reaches_every_device_of_both_users(
    backend: Backend,
) -> None:
    recipients = [backend.connect("bob") for _ in range(2)]
    desk = backend.connect("support")
    before = events.now()
    ack = send(backend, chatId="support#bob", clientMessageId="c-1")
    message_id, timestamp = ack.pop("messageId"), ack.pop("timestamp")
    assert ack == {
        "type": "ack",
        "action": "sendmessage",
        "chatId": CHAT,
        "delivered": 2,
        "clientMessageId": "c-1",
    }
    assert before <= timestamp <= events.now()
    stored = {
        **MESSAGE, "recipientId": "bob", "messageId": message_id, "timestamp": timestamp,
        "clientMessageId": "c-1",
    }  # fmt: skip
    assert backend.chat(CHAT) == [stored]
    assert backend.api.messages(desk) == [stored]
    del stored["clientMessageId"]
    for each in recipients:
        assert backend.api.messages(each) == [stored]


def test_message_of_a_server_waits_for_a_user_who_is_offline(backend: Backend) -> None:
    ack = send(backend)
    assert ack["delivered"] == 0
    back = backend.catch_up("bob", since=ack["timestamp"])
    assert [each["messageId"] for each in backend.api.messages(back)] == [ack["messageId"]]


def test_message_that_a_server_sends_twice_is_stored_once(backend: Backend) -> None:
    first, second = (send(backend, clientMessageId="c-1") for _ in range(2))
    assert second == first | {"duplicate": True}
    assert len(backend.chat(CHAT)) == 1


def test_server_sends_files_and_signals_as_a_client_does(backend: Backend) -> None:
    desk, recipient = backend.connect("support"), backend.connect("bob")
    wanted = {"action": "sendfile", "chatId": CHAT, "fileName": "a.jpg"}
    file_key = backend.upload(desk, wanted | {"contentType": "image/jpeg"})
    timestamp = send(backend, text=None, fileKey=file_key)["timestamp"]
    assert send(backend, text=None, read=timestamp)["read"] == timestamp
    assert send(backend, text=None, typing=True)["typing"] is True
    message, receipt, typing = backend.api.received(recipient)
    assert message["fileKey"] == file_key
    assert (receipt["type"], receipt["userId"]) == ("receipt", "support")
    assert typing == {"type": "typing", "chatId": CHAT, "userId": "support"}


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (MESSAGE | {"senderId": None}, "invalid_request", "`senderId` is missing."),
        (MESSAGE | {"senderId": "a#b"}, "invalid_request", "`senderId` must be 1 to 128 of"),
        (MESSAGE | {"senderId": 7}, "invalid_request", "`senderId` must be a string."),
        (MESSAGE | {"senderId": "eve"}, "forbidden", "not in this chat"),
        (MESSAGE | {"chatId": "support"}, "invalid_request", "`chatId`"),
        (MESSAGE | {"text": None}, "invalid_request", "`text`, `fileKey`, or both"),
        (MESSAGE | {"text": " "}, "invalid_request", "blank"),
        (MESSAGE | {"text": "x" * 4097}, "invalid_request", "4096"),
        (MESSAGE | {"text": "\ud800"}, "invalid_request", "valid Unicode"),
        (MESSAGE | {"typing": True}, "invalid_request", "in a frame each"),
        ("Hello!", "invalid_request", "must be a JSON object"),
        ({}, "invalid_request", "`senderId` is missing."),
    ],
)
def test_request_of_a_server_is_checked_as_a_frame_is(
    backend: Backend, sent: object, code: str, said: str
) -> None:
    error = backend.send_message({"send": sent})
    assert (error["type"], error["action"], error["code"]) == ("error", "sendmessage", code)
    assert said in error["message"]
    assert error["requestId"]
    assert backend.messages() == []


@pytest.mark.parametrize(("fault", "code"), [(throttled, "unavailable"), (failing, "unavailable")])
def test_server_learns_that_its_message_could_not_be_stored(
    backend: Backend, wire: Network, fault: Any, code: str
) -> None:
    recipient = backend.connect("bob")
    with wire.broken(Fault("dynamodb.TransactWriteItems", fault)):
        error = send(backend, clientMessageId="c-1")
    assert (error["code"], error["clientMessageId"]) == (code, "c-1")
    assert error["retryAfterMs"] > 0
    assert backend.api.received(recipient) == []


def test_server_is_not_limited_as_a_connection_is(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.send_message.module.rate_limit, "_frames_per_s", 0.05)
    assert {send(backend)["type"] for _ in range(3)} == {"ack"}


def test_log_names_the_origin_of_a_server_message_and_of_its_refusal(
    backend: Backend, logs: Logs
) -> None:
    ack = send(backend)
    sent, _ = logs()
    assert (sent["message"], sent["origin"]) == ("message sent", "invoke")
    assert sent["message_id"] == ack["messageId"]
    assert "connection_id" not in sent
    error = send(backend, text=" ")
    refused, _ = logs()
    assert (refused["message"], refused["origin"]) == ("refused", "invoke")
    assert refused["request_id"] == refused["function_request_id"] == error["requestId"]
    backend.say(backend.connect("bob"), CHAT, "Hello!")
    assert not any("origin" in line for line in logs())


def subsets(event: dict[str, Any]) -> list[dict[str, Any]]:
    """List the events with some of the keys of an event: at least one."""
    keys = list(event)
    chosen = (
        some for size in range(1, len(keys) + 1) for some in itertools.combinations(keys, size)
    )
    return [{key: event[key] for key in some} for some in chosen]


@pytest.mark.parametrize("event", API_GATEWAYS, ids=["connect", "message", "disconnect"])
def test_event_with_any_keys_of_api_gateway_is_not_a_servers(
    backend: Backend, event: dict[str, Any]
) -> None:
    """Each subset of its keys, with a request of a server among them, and without."""
    made = subsets(event)
    assert len(made) == 2 ** len(event) - 1
    for some in made:
        for each in (some, some | {"send": MESSAGE}):
            assert "statusCode" in backend.send_message(each)
    assert backend.messages() == []


@pytest.mark.parametrize("key", ["requestContext", "body", "catchUp", "headers", "x"])
def test_fields_of_a_server_request_are_never_those_of_an_event(
    backend: Backend, wire: Network, key: str
) -> None:
    """What the server says cannot name a connection, or ask for a catch-up."""
    desk = backend.connect("support")
    wire.calls.clear()
    forged = events.message(desk, {"text": "forged"}) | {"catchUp": {"connection_id": desk}}
    ack = send(backend, **{key: forged.get(key, "x"), "connectionId": desk})
    assert ack["type"] == "ack"
    # The device got its copy, though it is named as the one that sent it.
    assert [each["text"] for each in backend.api.messages(desk)] == ["Hello!"]
    assert "dynamodb.GetItem" not in wire.calls


_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(sent=_values | st.fixed_dictionaries({}, optional=dict.fromkeys(MESSAGE, _values)))
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
def test_random_request_of_a_server_is_never_an_internal_error(
    backend: Backend, sent: object
) -> None:
    frame = backend.send_message({"send": sent})
    assert frame["type"] == "error"
    assert frame["code"] in {"invalid_request", "forbidden"}
