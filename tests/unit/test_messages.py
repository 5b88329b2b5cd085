from dataclasses import replace
from typing import Any

import pytest

from chat.errors import Forbidden, InvalidRequest
from chat.files import File
from chat.frames import Frame
from chat.identity import UserId
from chat.messages import Message

KEY = "user123#user456/0ed1a8c2-9d5f-4a43-8a8e-000000000001/a.jpg"


def draft(*, sender_id: str = "user123", **fields: Any) -> Message:
    frame = Frame({"chatId": "user456#user123", **fields})
    return Message.draft(frame, sender_id=UserId(sender_id), received_at=1764000000123)


def no_link(_: File) -> str:
    raise AssertionError("there is no file")


def test_a_text_becomes_a_message_frame() -> None:
    message = draft(text="Hello!")
    assert message.as_frame(no_link) == {
        "type": "message",
        "messageId": message.message_id,
        "chatId": "user123#user456",
        "senderId": "user123",
        "recipientId": "user456",
        "timestamp": 1764000000123,
        "text": "Hello!",
    }


def test_a_file_alone_is_a_message() -> None:
    message = replace(draft(fileKey=KEY), file=File(KEY, "image/jpeg", 48213))
    frame = message.as_frame(lambda file: f"https://files.example.com/{file.name}")
    assert (
        frame.items()
        >= {
            "fileKey": KEY,
            "fileUrl": "https://files.example.com/a.jpg",
            "fileName": "a.jpg",
            "contentType": "image/jpeg",
            "size": 48213,
        }.items()
    )
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


def test_a_sender_outside_the_chat_is_refused() -> None:
    with pytest.raises(Forbidden, match="not in this chat"):
        draft(sender_id="user789", text="a")
