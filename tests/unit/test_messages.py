from typing import Any

import pytest

from chat.errors import Forbidden, InvalidRequest
from chat.frames import Frame
from chat.identity import UserId
from chat.messages import Message


def draft(*, sender_id: str = "user123", **fields: Any) -> Message:
    frame = Frame({"chatId": "user456#user123", **fields})
    return Message.draft(frame, sender_id=UserId(sender_id), received_at=1764000000123)


def test_a_text_becomes_a_message_frame() -> None:
    message = draft(text="Hello!")
    assert message.as_frame() == {
        "type": "message",
        "messageId": message.message_id,
        "chatId": "user123#user456",
        "senderId": "user123",
        "recipientId": "user456",
        "timestamp": 1764000000123,
        "text": "Hello!",
    }


def test_a_file_alone_is_a_message() -> None:
    frame = draft(fileKey="user123#user456/1/a.jpg").as_frame()
    assert frame["fileKey"] == "user123#user456/1/a.jpg"
    assert "text" not in frame


def test_two_messages_have_two_ids() -> None:
    assert draft(text="a").message_id != draft(text="a").message_id


def test_what_the_frame_says_of_its_sender_is_ignored() -> None:
    assert draft(text="a", senderId="user456", recipientId="user123").sender_id == "user123"


@pytest.mark.parametrize("text", [" x ", "😀" * 4096, "\n.\n"])
def test_a_text_is_kept_as_it_was_sent(text: str) -> None:
    assert draft(text=text).text == text


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u2003", "x" * 4097, None, 1, ["x"]])
def test_a_text_that_says_nothing_or_too_much_is_refused(text: object) -> None:
    with pytest.raises(InvalidRequest, match="`text`"):
        draft(text=text)


def test_an_empty_message_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="`text`, `fileKey`, or both"):
        draft()


@pytest.mark.parametrize(
    "file_key",
    [
        "user123#user457/1/a.jpg",
        "user456#user123/1/a.jpg",
        "user123#user4567/1/a.jpg",
        "user123%23user456/1/a.jpg",
        "user123#user456",
        "/user123#user456/1/a.jpg",
        "a.jpg",
    ],
)
def test_a_file_of_another_chat_is_refused(file_key: str) -> None:
    with pytest.raises(Forbidden, match="`fileKey`"):
        draft(fileKey=file_key)


def test_a_sender_outside_the_chat_is_refused() -> None:
    with pytest.raises(Forbidden, match="not in this chat"):
        draft(sender_id="user789", text="a")
