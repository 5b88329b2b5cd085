"""The topic of an operator is notified of messages that reached no connection."""

from typing import Any

import pytest

from local.iam.policies import Permission
from local.template.model import Stack
from tests.integration.test_permissions import granted, permissions_of
from tests.support.backend import Backend, Container, Logs
from tests.support.flows import CHAT, LONG_AGO, TEXT
from tests.support.network import (
    Fault,
    FaultAction,
    Network,
    lost_on_its_way,
    no_one_there,
    not_reached_in_time,
    sns_answers,
    throttled,
)
from tests.support.subscriber import TOPIC_ARN, Subscriber

PUBLISH = "sns.Publish"


@pytest.fixture
def functions(notifying_functions: dict[str, Container]) -> dict[str, Container]:
    return notifying_functions


def test_message_that_waits_is_announced_with_ids_and_without_text(
    backend: Backend, subscriber: Subscriber
) -> None:
    ack = backend.say(backend.connect("user123"), CHAT, TEXT, clientMessageId="c-1")
    assert subscriber.received() == [
        {
            "messageId": ack["messageId"],
            "chatId": CHAT,
            "senderId": "user123",
            "recipientId": "user456",
            "timestamp": ack["timestamp"],
        }
    ]


def test_message_is_stored_and_pushed_before_it_is_announced(
    backend: Backend, wire: Network, subscriber: Subscriber
) -> None:
    sender = backend.connect("user123")
    backend.connect("user123", connected_at=LONG_AGO)
    wire.calls.clear()
    ack = backend.say(sender, CHAT, TEXT)
    assert [each["messageId"] for each in subscriber.received()] == [ack["messageId"]]
    order = ["dynamodb.PutItem", "apigatewaymanagementapi.PostToConnection", PUBLISH]
    assert [each for each in wire.calls if each in order] == order


def test_message_that_reached_a_connection_is_not_announced(
    backend: Backend, wire: Network, subscriber: Subscriber
) -> None:
    sender = backend.connect("user123")
    dead = backend.connect("user456", connected_at=LONG_AGO)
    backend.api.open.remove(dead)
    backend.connect("user456", connected_at=LONG_AGO)
    backend.say(sender, CHAT, TEXT)
    assert PUBLISH not in wire.calls
    assert subscriber.received() == []


@pytest.mark.parametrize("status", [410, 500])
def test_message_whose_pushes_all_failed_is_announced(
    backend: Backend, subscriber: Subscriber, status: int
) -> None:
    sender = backend.connect("user123")
    backend.api.broken[backend.connect("user456", connected_at=LONG_AGO)] = status
    ack = backend.say(sender, CHAT, TEXT)
    assert [each["messageId"] for each in subscriber.received()] == [ack["messageId"]]


def test_message_is_announced_if_the_connections_cannot_be_read(
    backend: Backend, wire: Network, subscriber: Subscriber
) -> None:
    sender, _ = backend.connect("user123"), backend.connect("user456")
    with wire.broken(Fault("dynamodb.BatchGetItem", throttled)):
        backend.say(sender, CHAT, TEXT)
    assert len(subscriber.received()) == 1


def test_resend_is_announced_again_only_while_it_waits(
    backend: Backend, subscriber: Subscriber
) -> None:
    sender = backend.connect("user123")
    first, _ = (backend.say(sender, CHAT, TEXT, clientMessageId="c-1") for _ in range(2))
    assert [each["messageId"] for each in subscriber.received()] == [first["messageId"]] * 2
    backend.connect("user456", connected_at=LONG_AGO)
    backend.say(sender, CHAT, TEXT, clientMessageId="c-1")
    assert subscriber.received() == []


def test_message_of_a_server_is_announced_too(backend: Backend, subscriber: Subscriber) -> None:
    fields = {"senderId": "user123", "chatId": CHAT, "text": TEXT}
    ack = backend.send_message({"send": fields})
    assert [each["messageId"] for each in subscriber.received()] == [ack["messageId"]]


def test_signals_and_refused_messages_are_not_announced(
    backend: Backend, wire: Network, subscriber: Subscriber
) -> None:
    sender = backend.connect("user123")
    timestamp = backend.say(sender, CHAT, TEXT)["timestamp"]
    wire.calls.clear()
    for fields in ({"read": timestamp}, {"typing": True}, {"text": " "}):
        backend.send(sender, {"action": "sendmessage", "chatId": CHAT, **fields})
    assert PUBLISH not in wire.calls
    assert len(subscriber.received()) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (sns_answers(400, "Throttling"), "ClientError: Throttling (Publish)"),
        (sns_answers(500, "InternalError"), "InternalErrorException: InternalError (Publish)"),
        (sns_answers(403, "AuthorizationError"), "AuthorizationErrorException: "),
        (lost_on_its_way, "ReadTimeoutError"),
        (not_reached_in_time, "ConnectTimeoutError"),
        (no_one_there, "EndpointConnectionError"),
        (throttled, "ResponseParserError"),  # its answer is not XML
    ],
)
def test_failed_notification_does_not_fail_the_message_and_is_counted(
    backend: Backend, wire: Network, logs: Logs, fault: FaultAction, reason: str
) -> None:
    sender = backend.connect("user123")
    logs()
    with wire.broken(Fault(PUBLISH, fault)):
        ack = backend.say(sender, CHAT, TEXT)
    assert (ack["type"], ack["delivered"]) == ("ack", 0)
    assert [each["messageId"] for each in backend.chat(CHAT)] == [ack["messageId"]]
    sent, warning, metrics = logs()
    assert (sent["message"], warning["message"]) == ("message sent", "notification failed")
    assert warning["reason"].startswith(reason)
    assert metrics["NotificationFailures"] == [1.0]


def test_topic_that_does_not_exist_is_a_failed_notification(
    backend: Backend, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = backend.send_message.module.delivery._topic
    monkeypatch.setattr(topic, "_arn", TOPIC_ARN + "-gone")
    assert backend.say(backend.connect("user123"), CHAT, TEXT)["type"] == "ack"
    assert any(line.get("NotificationFailures") == [1.0] for line in logs())


def test_timeouts_of_a_notification_are_short(backend: Backend) -> None:
    config = backend.send_message.modules["chat.aws"].sns().meta.config
    assert config.connect_timeout + config.read_timeout <= 1
    assert config.retries["total_max_attempts"] == 2


def test_role_allows_to_publish_to_this_topic_only_where_there_is_one(
    backend: Backend, wire: Network, stack: Stack, notifying_stack: Stack, subscriber: Subscriber
) -> None:
    before, after = granted(stack), granted(notifying_stack)
    added = {folder: after[folder] - before[folder] for folder in after}
    assert {folder: grants for folder, grants in added.items() if grants} == {
        "send_message": {Permission("sns:Publish", TOPIC_ARN)}
    }
    backend.say(backend.connect("user123"), CHAT, TEXT)
    (request,) = (request for operation, request in wire.requests if operation == PUBLISH)
    assert permissions_of("sns", request, stack) == [Permission("sns:Publish", TOPIC_ARN)]
    assert subscriber.received()


class TestWithoutATopic:
    @pytest.fixture
    def functions(self, _containers: dict[str, Container]) -> dict[str, Container]:
        return _containers

    def test_nothing_is_published_and_no_client_is_made(
        self, backend: Backend, wire: Network
    ) -> None:
        assert backend.say(backend.connect("user123"), CHAT, TEXT)["delivered"] == 0
        assert not [each for each in wire.calls if each.startswith("sns.")]
        clients: Any = backend.send_message.modules["chat.aws"]
        assert clients.sns.cache_info().currsize == 0
        assert clients.dynamodb.cache_info().currsize == 1
