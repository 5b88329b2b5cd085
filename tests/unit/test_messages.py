from collections.abc import Callable
from typing import Any

import pytest

from chat.chats import UserId
from chat.client_frame import ClientFrame
from chat.errors import Forbidden, InvalidRequest
from chat.file_keys import File
from chat.messages import Message
from chat.server_frames import message_fields

KEY = "user123#user456/0ed1a8c2-9d5f-4a43-8a8e-000000000001/a.jpg"


def no_file(_: object) -> Any:
    raise AssertionError("the message has no file")


def new_message(
    *, sender_id: str = "user123", retain: Callable[[str], File] = no_file, **fields: Any
) -> Message:
    frame = ClientFrame({"chatId": "user456#user123", **fields})
    return Message.from_frame(
        frame, sender_id=UserId(sender_id), received_at=1764000000123, retain=retain
    )


def test_text_message_has_the_fields_of_the_protocol() -> None:
    message = new_message(text="Hello!")
    assert message_fields(message, no_file, UserId("user456")) == {
        "messageId": message.message_id,
        "chatId": "user123#user456",
        "senderId": "user123",
        "recipientId": "user456",
        "timestamp": 1764000000123,
        "text": "Hello!",
    }


def test_file_without_text_becomes_a_message_frame() -> None:
    message = new_message(fileKey=KEY, retain=lambda key: File(key, "image/jpeg", 48213))
    fields = message_fields(
        message, lambda file: f"https://files.example.com/{file.name}", UserId("user456")
    )
    assert (
        fields.items()
        >= {
            "fileKey": KEY,
            "fileUrl": "https://files.example.com/a.jpg",
            "fileName": "a.jpg",
            "contentType": "image/jpeg",
            "size": 48213,
        }.items()
    )
    assert "text" not in fields


def test_each_message_gets_a_different_id() -> None:
    assert new_message(text="a").message_id != new_message(text="a").message_id


def test_sender_and_recipient_in_the_frame_are_ignored() -> None:
    assert new_message(text="a", senderId="user456", recipientId="user123").sender_id == "user123"


@pytest.mark.parametrize("text", [" x ", pytest.param("😀" * 4096, id="4096 emojis"), "\n.\n"])
def test_text_is_kept_unchanged(text: str) -> None:
    assert new_message(text=text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\t\n",
        "\u2003",
        "\u200b\u200d",
        "\u3164",
        "\u2800",
        "\ufe0f\U000e0041",
        pytest.param("x" * 4097, id="4097 characters"),
        None,
        1,
        pytest.param(["x"], id="list"),
    ],
)
def test_blank_too_long_or_non_string_text_is_refused(text: object) -> None:
    with pytest.raises(InvalidRequest, match="`text`"):
        new_message(text=text)


def test_message_without_text_and_file_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="`text`, `fileKey`, or both"):
        new_message()


def test_sender_outside_the_chat_is_forbidden() -> None:
    with pytest.raises(Forbidden, match="not in this chat"):
        new_message(sender_id="user789", text="a")
