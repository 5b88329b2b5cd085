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
    """List the stored messages, without the marks of what was sent."""
    return [row for row in backend.messages() if row["chatId"].count("#") == 1]


def test_the_ack_names_the_clients_own_id(backend: Backend) -> None:
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


def test_a_resend_is_one_message(backend: Backend) -> None:
    sender = backend.connect("user123")
    first = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN)
    second = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN + 5000)
    assert second == first | {"duplicate": True}
    (row,) = messages(backend)
    assert (row["messageId"], row["timestamp"]) == (first["messageId"], THEN)


def test_a_resend_is_pushed_again_as_it_was_stored(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "the first", clientMessageId="c-1", at=THEN)
    ack = backend.say(sender, CHAT, "another text", clientMessageId="c-1")
    assert ack["delivered"] == 1
    first, again = backend.api.received(recipient)
    assert first == again
    assert first["text"] == "the first"


def test_an_id_is_its_senders_and_its_chats_own(backend: Backend) -> None:
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


@pytest.mark.parametrize("client_message_id", ["#", "a#b", "😀" * 128, "x" * 128, " ", "0"])
def test_an_id_may_be_any_text(backend: Backend, client_message_id: str) -> None:
    sender = backend.connect("user123")
    first = backend.say(sender, CHAT, "x", clientMessageId=client_message_id)
    second = backend.say(sender, CHAT, "x", clientMessageId=client_message_id)
    assert second["messageId"] == first["messageId"]
    assert second["clientMessageId"] == client_message_id


@pytest.mark.parametrize("client_message_id", ["", "x" * 129, 1, None, "\ud800"])
def test_an_id_that_is_none_is_refused(backend: Backend, client_message_id: object) -> None:
    sender = backend.connect("user123")
    frame = {
        "action": "sendmessage",
        "chatId": CHAT,
        "text": "x",
        "clientMessageId": client_message_id,
    }
    error = backend.send(sender, frame)
    assert error["code"] == "invalid_request"
    assert "clientMessageId" in error["message"]
    assert "clientMessageId" not in error
    assert backend.messages() == []


def test_an_error_names_the_clients_own_id(backend: Backend) -> None:
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "", "clientMessageId": "c-1"}
    assert backend.send(backend.connect("user123"), frame)["clientMessageId"] == "c-1"


def test_no_chat_can_have_the_key_of_a_mark(backend: Backend) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x", clientMessageId="c-1")
    (mark,) = (row for row in backend.messages() if row["chatId"].count("#") != 1)
    assert "recipientId" not in mark
    frame = {"action": "sendmessage", "chatId": mark["chatId"], "text": "x"}
    assert backend.send(sender, frame)["code"] == "invalid_request"


def test_resends_that_race_are_one_message(backend: Backend) -> None:
    sender = backend.connect("user123")

    def resend(number: int) -> dict[str, Any]:
        return backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN + number % 3)

    with ThreadPoolExecutor(8) as clients:
        acks = list(clients.map(resend, range(16)))
    (row,) = messages(backend)
    assert {ack["messageId"] for ack in acks} == {row["messageId"]}
    assert {ack["timestamp"] for ack in acks} == {row["timestamp"]}
    assert sum("duplicate" not in ack for ack in acks) == 1


def test_two_messages_of_one_millisecond_are_both_stored(backend: Backend) -> None:
    sender = backend.connect("user123")
    timestamps = [
        backend.say(sender, CHAT, "x", at=THEN, **more)["timestamp"]
        for more in ({"clientMessageId": "c-1"}, {}, {"clientMessageId": "c-2"})
    ]
    assert timestamps[0] == THEN
    assert len(set(timestamps)) == 3


def test_a_transaction_whose_answer_was_lost_is_no_duplicate(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    with wire.broken(Fault("dynamodb.TransactWriteItems", answer_lost, times=2)):
        ack = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN)
    assert "duplicate" not in ack
    (row,) = messages(backend)
    assert (row["messageId"], row["timestamp"]) == (ack["messageId"], ack["timestamp"])


@pytest.mark.parametrize(
    "reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
)
def test_a_transaction_that_meets_another_is_tried_again(
    backend: Backend, wire: Network, reason: str
) -> None:
    sender = backend.connect("user123")
    fault = Fault("dynamodb.TransactWriteItems", cancelled("None", reason), times=3)
    with wire.broken(fault):
        ack = backend.say(sender, CHAT, "x", clientMessageId="c-1")
    assert "duplicate" not in ack
    assert fault.times == 0
    assert len(messages(backend)) == 1


def test_a_transaction_that_could_never_go_through_is_our_mistake(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "x", "clientMessageId": "c-1"}
    with wire.broken(Fault("dynamodb.TransactWriteItems", cancelled("ValidationError", "None"))):
        assert backend.send(sender, frame)["code"] == "internal"


def test_a_write_that_meets_a_transaction_is_tried_again(backend: Backend, wire: Network) -> None:
    def conflict(request: Any, _: Any) -> Any:
        return answer(request, 400, "TransactionConflictException")

    sender = backend.connect("user123")
    with wire.broken(Fault("dynamodb.PutItem", conflict, times=2)):
        assert backend.say(sender, CHAT, "x")["type"] == "ack"
    assert len(messages(backend)) == 1


@pytest.mark.parametrize("fault", [throttled, failing, lost_on_its_way])
def test_what_cannot_be_stored_is_unavailable_and_can_be_sent_again(
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


def test_a_first_message_that_cannot_be_read_is_unavailable(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "x", "clientMessageId": "c-1"}
    backend.send(sender, frame)
    with wire.broken(Fault("dynamodb.GetItem", throttled)):
        assert backend.send(sender, frame)["code"] == "unavailable"
    with wire.broken(Fault("dynamodb.GetItem", denied)):
        assert backend.send(sender, frame)["code"] == "internal"
    assert backend.send(sender, frame)["duplicate"] is True


def test_a_message_without_an_id_costs_one_plain_write(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x")
    wire.calls.clear()
    backend.say(sender, CHAT, "x")
    assert sorted(wire.calls) == ["dynamodb.BatchGetItem", "dynamodb.PutItem"]


def test_a_message_with_an_id_costs_one_transaction(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x")
    wire.calls.clear()
    backend.say(sender, CHAT, "x", clientMessageId="c-1")
    assert sorted(wire.calls) == [
        "dynamodb.BatchGetItem",
        "dynamodb.TransactWriteItems",
    ]


def cancelled(*reasons: str) -> Any:
    def strike(request: Any, _: Any) -> Any:
        response = answer(request, 400, "TransactionCanceledException")
        body = {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled",
            "CancellationReasons": [{"Code": reason} for reason in reasons],
        }
        response.raw = RawBody(json.dumps(body).encode())
        return response

    return strike
