import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.backend import Backend
from tests.support.network import (
    Fault,
    Network,
    RawBody,
    answer,
    answer_lost,
    denied,
    failing,
    lost_on_its_way,
    throttled,
)

CHAT = "user123#user456"
THEN = 1764000000000


def messages(backend: Backend) -> list[dict[str, Any]]:
    """Return the stored messages, without the idempotency records."""
    return [row for row in backend.messages() if row["chatId"].count("#") == 1]


def test_ack_has_the_client_message_id(backend: Backend) -> None:
    ack = backend.say(backend.connect("user123"), CHAT, "x", clientMessageId="c-1", at=THEN)
    assert ack == {
        "type": "ack",
        "action": "sendmessage",
        "messageId": ack["messageId"],
        "chatId": CHAT,
        "timestamp": THEN,
        "delivered": 0,
        "clientMessageId": "c-1",
    }


def test_resend_is_stored_once(backend: Backend) -> None:
    sender = backend.connect("user123")
    first = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN)
    second = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN + 5000)
    assert second == first | {"duplicate": True}
    (row,) = messages(backend)
    assert (row["messageId"], row["timestamp"]) == (first["messageId"], THEN)


def test_resend_pushes_the_stored_message_again(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "the first", clientMessageId="c-1", at=THEN)
    ack = backend.say(sender, CHAT, "another text", clientMessageId="c-1")
    assert ack["delivered"] == 1
    first, again = backend.api.received(recipient)
    assert first == again
    assert first["text"] == "the first"


def test_client_message_id_belongs_to_one_sender_and_chat(backend: Backend) -> None:
    first, second = backend.connect("user123"), backend.connect("user456")
    acks = [
        backend.say(first, CHAT, "a", clientMessageId="c-1"),
        backend.say(second, CHAT, "b", clientMessageId="c-1"),
        backend.say(first, "user123#user789", "c", clientMessageId="c-1"),
        backend.say(first, CHAT, "d", clientMessageId="c-2"),
        backend.say(first, CHAT, "e"),
        backend.say(first, CHAT, "e"),
    ]
    assert not any("duplicate" in ack for ack in acks)
    assert len({ack["messageId"] for ack in acks}) == len(messages(backend)) == 6


def test_client_message_id_may_contain_the_separator_of_chat_ids(backend: Backend) -> None:
    sender = backend.connect("user123")
    first = backend.say(sender, CHAT, "x", clientMessageId="a#b")
    second = backend.say(sender, CHAT, "x", clientMessageId="a#b")
    assert second["messageId"] == first["messageId"]
    assert second["clientMessageId"] == "a#b"


def test_malformed_client_message_id_is_refused_and_not_in_the_error(backend: Backend) -> None:
    sender = backend.connect("user123")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "x", "clientMessageId": "x" * 129}
    error = backend.send(sender, frame)
    assert error["code"] == "invalid_request"
    assert "clientMessageId" in error["message"]
    assert "clientMessageId" not in error
    assert backend.messages() == []


def test_error_has_the_client_message_id(backend: Backend) -> None:
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "", "clientMessageId": "c-1"}
    assert backend.send(backend.connect("user123"), frame)["clientMessageId"] == "c-1"


def test_key_of_an_idempotency_record_is_no_chat_id(backend: Backend) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x", clientMessageId="c-1")
    (record,) = (row for row in backend.messages() if row["chatId"].count("#") != 1)
    assert "recipientId" not in record
    frame = {"action": "sendmessage", "chatId": record["chatId"], "text": "x"}
    assert backend.send(sender, frame)["code"] == "invalid_request"


def test_concurrent_resends_store_one_message(backend: Backend) -> None:
    sender = backend.connect("user123")

    def resend(number: int) -> dict[str, Any]:
        return backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN + number % 3)

    with ThreadPoolExecutor(8) as clients:
        acks = list(clients.map(resend, range(16)))
    (row,) = messages(backend)
    assert {ack["messageId"] for ack in acks} == {row["messageId"]}
    assert {ack["timestamp"] for ack in acks} == {row["timestamp"]}
    assert sum("duplicate" not in ack for ack in acks) == 1


def test_messages_of_the_same_millisecond_are_all_stored(backend: Backend) -> None:
    sender = backend.connect("user123")
    timestamps = [
        backend.say(sender, CHAT, "x", at=THEN, **more)["timestamp"]
        for more in ({"clientMessageId": "c-1"}, {}, {"clientMessageId": "c-2"})
    ]
    assert timestamps[0] == THEN
    assert len(set(timestamps)) == 3


def test_lost_answer_of_a_transaction_is_no_duplicate(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    with wire.broken(Fault("dynamodb.TransactWriteItems", answer_lost, times=2)):
        ack = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN)
    assert "duplicate" not in ack
    (row,) = messages(backend)
    assert (row["messageId"], row["timestamp"]) == (ack["messageId"], ack["timestamp"])


@pytest.mark.parametrize(
    "reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
)
def test_transaction_cancelled_for_a_transient_reason_is_tried_again(
    backend: Backend, wire: Network, reason: str
) -> None:
    sender = backend.connect("user123")
    fault = Fault("dynamodb.TransactWriteItems", cancelled("None", reason), times=3)
    with wire.broken(fault):
        ack = backend.say(sender, CHAT, "x", clientMessageId="c-1")
    assert "duplicate" not in ack
    assert fault.times == 0
    assert len(messages(backend)) == 1


def test_transaction_cancelled_for_another_reason_is_an_internal_error(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "x", "clientMessageId": "c-1"}
    with wire.broken(Fault("dynamodb.TransactWriteItems", cancelled("ValidationError", "None"))):
        assert backend.send(sender, frame)["code"] == "internal"


def test_write_that_conflicts_with_a_transaction_is_tried_again(
    backend: Backend, wire: Network
) -> None:
    def conflict(request: Any, _: Any) -> Any:
        return answer(request, 400, "TransactionConflictException")

    sender = backend.connect("user123")
    with wire.broken(Fault("dynamodb.PutItem", conflict, times=2)):
        assert backend.say(sender, CHAT, "x")["type"] == "ack"
    assert len(messages(backend)) == 1


@pytest.mark.parametrize("fault", [throttled, failing, lost_on_its_way])
def test_message_that_cannot_be_stored_is_unavailable_and_can_be_sent_again(
    backend: Backend, wire: Network, fault: Any
) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "x", "clientMessageId": "c-1"}
    with wire.broken(Fault("dynamodb.TransactWriteItems", fault)):
        error = backend.send(sender, frame)
    assert (error["code"], error["clientMessageId"]) == ("unavailable", "c-1")
    assert error["retryAfterMs"] > 0
    assert backend.messages() == []
    assert backend.api.received(recipient) == []
    ack = backend.send(sender, frame)
    assert (ack["type"], ack["delivered"], ack.get("duplicate")) == ("ack", 1, None)


def test_resend_whose_original_cannot_be_read_is_an_error(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "x", "clientMessageId": "c-1"}
    backend.send(sender, frame)
    with wire.broken(Fault("dynamodb.GetItem", throttled)):
        assert backend.send(sender, frame)["code"] == "unavailable"
    with wire.broken(Fault("dynamodb.GetItem", denied)):
        assert backend.send(sender, frame)["code"] == "internal"
    assert backend.send(sender, frame)["duplicate"] is True


def test_message_without_a_client_message_id_makes_one_put(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x")
    wire.calls.clear()
    backend.say(sender, CHAT, "x")
    assert sorted(wire.calls) == ["dynamodb.BatchGetItem", "dynamodb.PutItem"]


def test_message_with_a_client_message_id_makes_one_transaction(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x")
    wire.calls.clear()
    backend.say(sender, CHAT, "x", clientMessageId="c-1")
    assert sorted(wire.calls) == [
        "dynamodb.BatchGetItem",
        "dynamodb.TransactWriteItems",
    ]


def cancelled(*reasons: str) -> Any:
    """Return a fault: DynamoDB cancels a transaction for these reasons."""

    def cancel(request: Any, _: Any) -> Any:
        response = answer(request, 400, "TransactionCanceledException")
        body = {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled",
            "CancellationReasons": [{"Code": reason} for reason in reasons],
        }
        response.raw = RawBody(json.dumps(body).encode())
        return response

    return cancel
