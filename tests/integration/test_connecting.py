import json
import time
from typing import Any

import pytest

from tests.support import events
from tests.support.backend import Backend, Logs
from tests.support.network import (
    Fault,
    FaultAction,
    Network,
    denied,
    failing,
    lost_on_its_way,
    throttled,
)


def refused(backend: Backend, query: dict[str, str]) -> tuple[int, str]:
    reply = backend.on_connect(events.connect(events.new_id(), query))
    return reply["statusCode"], json.loads(reply["body"])["code"]


def test_rows_of_a_connection_expire_after_24_hours(backend: Backend) -> None:
    connection_id = backend.connect("user123", connected_at=1764000000123)
    ttl = 1764000000 + 24 * 60 * 60
    rows = sorted(backend.rows("ChatConnections"), key=len)
    assert rows == [
        {"connectionId": "user#user123", connection_id: {"connectedAt": 1764000000123}, "ttl": ttl},
        {
            "connectionId": connection_id,
            "userId": "user123",
            "connectedAt": 1764000000123,
            "ttl": ttl,
        },
    ]


def test_user_may_have_several_connections(backend: Backend) -> None:
    phone, laptop = backend.connect("user123"), backend.connect("user123")
    assert backend.connections() == {phone: "user123", laptop: "user123"}


def test_handshake_without_a_user_id_is_refused_with_401(backend: Backend) -> None:
    assert refused(backend, {}) == (401, "unauthorized")
    assert backend.connections() == {}


def test_malformed_user_id_is_refused_with_400(backend: Backend) -> None:
    assert refused(backend, {"userId": "a#b"}) == (400, "invalid_request")
    assert backend.connections() == {}


@pytest.mark.parametrize("fault", [throttled, failing, lost_on_its_way])
def test_handshake_is_refused_with_503_while_the_table_is_unavailable(
    backend: Backend, wire: Network, fault: FaultAction
) -> None:
    with wire.broken(Fault("dynamodb.PutItem", fault)):
        assert refused(backend, {"userId": "user123"}) == (503, "unavailable")
    assert wire.calls.count("dynamodb.PutItem") == 2


def test_one_throttled_write_does_not_refuse_the_handshake(backend: Backend, wire: Network) -> None:
    with wire.broken(Fault("dynamodb.PutItem", throttled, times=1)):
        connection_id = backend.connect("user123")
    assert backend.connections() == {connection_id: "user123"}


def test_missing_permission_refuses_the_handshake_with_500(backend: Backend, wire: Network) -> None:
    with wire.broken(Fault("dynamodb.PutItem", denied)):
        assert refused(backend, {"userId": "user123"}) == (500, "internal")


def test_handshake_makes_two_writes(backend: Backend, wire: Network) -> None:
    wire.calls.clear()
    backend.connect("user123")
    assert sorted(wire.calls) == ["dynamodb.PutItem", "dynamodb.UpdateItem"]


def test_ended_connection_is_removed_from_both_rows(backend: Backend, wire: Network) -> None:
    phone, laptop = backend.connect("user123"), backend.connect("user123")
    wire.calls.clear()
    assert backend.on_disconnect(events.disconnect(phone)) == {"statusCode": 200}
    assert wire.calls == ["dynamodb.DeleteItem", "dynamodb.UpdateItem"]
    assert backend.connections() == {laptop: "user123"}
    assert backend.listed("user123") == {laptop}


def test_repeated_or_unknown_disconnect_is_accepted(backend: Backend) -> None:
    phone = backend.connect("user123")
    for connection_id in (phone, phone, events.new_id()):
        assert backend.on_disconnect(events.disconnect(connection_id)) == {"statusCode": 200}


@pytest.mark.parametrize("action", ["$connect", "$disconnect"])
def test_frame_cannot_run_the_connect_or_disconnect_handler(backend: Backend, action: str) -> None:
    phone = backend.connect("user123")
    event = events.message(phone, {"action": action})
    event["queryStringParameters"] = {"userId": "user456"}
    function = backend.on_connect if action == "$connect" else backend.on_disconnect
    assert function(event)["statusCode"] == 400
    assert backend.connections() == {phone: "user123"}


def test_close_code_and_reason_are_logged(backend: Backend, logs: Logs) -> None:
    phone = backend.connect("user123")
    logs()
    backend.on_disconnect(events.disconnect(phone, code=1001, reason="Going away"))
    (line,) = (line for line in logs() if line.get("message") == "disconnected")
    assert (line["close_code"], line["close_reason"]) == (1001, "Going away")


@pytest.mark.parametrize(
    ("reason", "logged"),
    [("\u202eabc", "\\u202eabc"), ("é\U0001f600", "\\xe9\\U0001f600"), ("a\nb", "a\nb"), (7, None)],
    ids=ascii,
)
def test_close_reason_is_logged_in_ascii(
    backend: Backend, logs: Logs, reason: Any, logged: str | None
) -> None:
    backend.on_disconnect(events.disconnect(events.new_id(), reason=reason))
    (line,) = (line for line in logs() if line.get("message") == "disconnected")
    assert line.get("close_reason") == logged


def test_expired_connection_gets_no_push(backend: Backend) -> None:
    day_before_yesterday = int(time.time() - 2 * 24 * 60 * 60) * 1000
    expired = backend.connect("user456", connected_at=day_before_yesterday)
    sender = backend.connect("user123")
    assert backend.say(sender, "user123#user456", "Hello!")["delivered"] == 0
    assert backend.api.attempts[expired] == 0


def test_disconnect_does_not_create_an_expired_user_row_again(backend: Backend) -> None:
    phone = backend.connect("user123")
    backend.dynamodb.delete_item(
        TableName="ChatConnections", Key={"connectionId": {"S": "user#user123"}}
    )
    assert backend.on_disconnect(events.disconnect(phone)) == {"statusCode": 200}
    assert backend.rows("ChatConnections") == []
