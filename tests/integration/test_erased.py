"""Messages that the operator erased: tombstones, in every frame that shows messages."""

from typing import Any

import pytest

from tests.support.backend import Backend
from tests.support.document import expect_known

CHAT = "user123#user456"
THEN = 1764000000000


def tombstone_of(backend: Backend, ack: dict[str, Any]) -> dict[str, Any]:
    """Erase a text, and return what clients are to see of it."""
    backend.dynamodb.update_item(
        TableName="ChatMessages",
        Key={"chatId": {"S": CHAT}, "timestamp": {"N": str(ack["timestamp"])}},
        UpdateExpression="REMOVE #text SET erased = :true",
        ExpressionAttributeNames={"#text": "text"},
        ExpressionAttributeValues={":true": {"BOOL": True}},
    )
    return {
        "messageId": ack["messageId"],
        "chatId": CHAT,
        "senderId": "user123",
        "recipientId": "user456",
        "timestamp": ack["timestamp"],
        "erased": True,
    }


def test_history_shows_that_a_message_was_erased(backend: Backend) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    tombstone = tombstone_of(backend, backend.say(sender, CHAT, "x", at=THEN))
    backend.say(sender, CHAT, "kept", at=THEN + 1)
    page = backend.send(reader, {"action": "getmessages", "chatId": CHAT})
    expect_known(page)
    assert page["messages"][0] == tombstone
    assert page["messages"][1]["text"] == "kept"
    assert "erased" not in page["messages"][1]


def test_catch_up_shows_that_a_message_was_erased(backend: Backend) -> None:
    sender = backend.connect("user123")
    tombstone = tombstone_of(backend, backend.say(sender, CHAT, "x", at=THEN))
    reader = backend.connect("user456")
    backend.send(reader, {"action": "getmessages", "since": THEN})
    frame = backend.api.received(reader)[0]
    expect_known(frame)
    assert frame == {"type": "messages", "messages": [tombstone]}


def test_resend_of_an_erased_message_is_a_duplicate_and_does_not_bring_its_text_back(
    backend: Backend,
) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    first = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN)
    tombstone = tombstone_of(backend, first)
    again = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN + 5000)
    assert again == first | {"duplicate": True}
    frame = backend.api.received(recipient)[-1]
    expect_known(frame)
    assert frame == {"type": "message", **tombstone}
    assert all("text" not in row for row in backend.messages())


def test_document_allows_no_text_in_an_erased_message(backend: Backend) -> None:
    ack = backend.say(backend.connect("user123"), CHAT, "x", at=THEN)
    frame = {"type": "message", **tombstone_of(backend, ack)}
    expect_known(frame)
    for wrong in ({"text": "x"}, {"erased": False}):
        with pytest.raises(AssertionError):
            expect_known(frame | wrong)
