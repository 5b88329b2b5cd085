"""The frames that clients receive: a type for each, and how they are written.

docs/asyncapi.yaml describes the same frames to clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from chat.chats import UserId
    from chat.file_keys import File
    from chat.messages import Message, StoredMessage

MAX_BATCH_BYTES: Final = 28 * 1024
"""The size of a frame of several messages, in bytes. One of over 32 KB is billed as two:
https://aws.amazon.com/api-gateway/pricing/
"""
_ENVELOPE_BYTES: Final = 1024


class Ack(TypedDict):
    """``sendmessage``: the message is stored."""

    type: Literal["ack"]
    action: Literal["sendmessage"]
    messageId: str
    chatId: str
    timestamp: int
    delivered: int
    clientMessageId: NotRequired[str]
    duplicate: NotRequired[Literal[True]]


class FileFields(TypedDict, total=False):
    """A file, as clients read it."""

    fileKey: str
    fileName: str
    contentType: str
    size: int
    fileUrl: str


class MessageFields(FileFields):
    """A message, as clients read it."""

    messageId: str
    chatId: str
    senderId: str
    recipientId: str
    timestamp: int
    text: NotRequired[str]
    erased: NotRequired[Literal[True]]
    clientMessageId: NotRequired[str]


class MessageFrame(MessageFields):
    """A message that was sent a moment ago."""

    type: Literal["message"]


class SignalAck(TypedDict):
    """``sendmessage``: the signal is stored, where it is a receipt, and pushed."""

    type: Literal["ack"]
    action: Literal["sendmessage"]
    chatId: str
    received: NotRequired[int]
    read: NotRequired[int]
    typing: NotRequired[Literal[True]]


class Times(TypedDict, total=False):
    """Up to which message a user has received and read a chat: its timestamp."""

    received: int
    read: int


class ReceiptFrame(Times):
    """A user has received or read a chat up to a message."""

    type: Literal["receipt"]
    chatId: str
    userId: str


class Typing(TypedDict):
    """A user is typing."""

    type: Literal["typing"]
    chatId: str
    userId: str


class MessagesFrame(TypedDict):
    """Messages that the user missed, oldest first."""

    type: Literal["messages"]
    messages: list[MessageFields]


class Synced(TypedDict):
    """The end of a catch-up."""

    type: Literal["synced"]
    since: int
    until: int
    count: int
    complete: bool


class HistoryFrame(TypedDict):
    """``getmessages`` with ``chatId``: a page of a chat, oldest first."""

    type: Literal["history"]
    chatId: str
    messages: list[MessageFields]
    more: bool
    before: NotRequired[int]
    receipts: dict[str, Times]


class Upload(TypedDict):
    """``sendfile`` with ``fileName``: a link to PUT a file with."""

    type: Literal["upload"]
    action: Literal["sendfile"]
    chatId: str
    fileKey: str
    uploadUrl: str
    method: Literal["PUT"]
    headers: dict[str, str]
    expiresIn: int


class Download(FileFields):
    """``sendfile`` with ``fileKey``: a link to GET a file with."""

    type: Literal["download"]
    action: Literal["sendfile"]
    chatId: str
    expiresIn: int


class Error(TypedDict):
    """A frame or a handshake was refused, or failed."""

    type: Literal["error"]
    code: str
    message: str
    action: NotRequired[str]
    retryAfterMs: NotRequired[int]
    requestId: NotRequired[str]
    clientMessageId: NotRequired[str]


type Answer = Ack | SignalAck | HistoryFrame | Synced | Upload | Download
type Pushed = MessageFrame | MessagesFrame | Synced | ReceiptFrame | Typing


def to_json(value: Mapping[str, object]) -> str:
    """Write a frame, or a part of one, in as few bytes as it takes: API Gateway bills by size."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def batches(
    messages: Iterable[Message], link: Callable[[File], str], reader_id: UserId
) -> Iterator[list[MessageFields]]:
    """Group messages into lists that each fit into a frame, in the same order: `message_fields`.

    A message that is larger alone is in a list alone: clients can receive 128 KB.
    """
    batch: list[MessageFields] = []
    size = 0
    for message in messages:
        fields = message_fields(message, link, reader_id)
        added = len(to_json(fields).encode()) + len(",")
        if batch and size + added > MAX_BATCH_BYTES - _ENVELOPE_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(fields)
        size += added
    if batch:
        yield batch


def ack(stored: StoredMessage, delivered: int) -> Ack:
    """Acknowledge a message that `delivered` connections of its recipient took."""
    message = stored.message
    frame: Ack = {
        "type": "ack",
        "action": "sendmessage",
        "messageId": message.message_id,
        "chatId": message.chat_id,
        "timestamp": message.timestamp,
        "delivered": delivered,
    }
    if message.client_message_id is not None:
        frame["clientMessageId"] = message.client_message_id
    if stored.duplicate:
        frame["duplicate"] = True
    return frame


def message_fields(
    message: Message, link: Callable[[File], str], reader_id: UserId
) -> MessageFields:
    """Show a message to a user: `client_message_id` to its sender only.

    `link` signs a link to its file, which is good for minutes only: each frame needs a fresh one.
    """
    fields: MessageFields = {
        "messageId": message.message_id,
        "chatId": message.chat_id,
        "senderId": message.sender_id,
        "recipientId": message.recipient_id,
        "timestamp": message.timestamp,
    }
    if message.client_message_id is not None and message.sender_id == reader_id:
        fields["clientMessageId"] = message.client_message_id
    if message.text is not None:
        fields["text"] = message.text
    if message.erased:
        fields["erased"] = True
    if message.file is not None:
        return {**fields, **file_fields(message.file, link(message.file))}
    return fields


def message_frame(message: Message, link: Callable[[File], str], reader_id: UserId) -> MessageFrame:
    """Push a message live, as `message_fields` shows it."""
    return {"type": "message", **message_fields(message, link, reader_id)}


def file_fields(file: File, link: str) -> FileFields:
    """Show a file to a client, with a link to download it."""
    return FileFields(
        fileKey=file.key,
        fileName=file.name,
        contentType=file.content_type,
        size=file.size,
        fileUrl=link,
    )
