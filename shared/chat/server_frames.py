"""The frames that clients receive: a type and a builder for each, and how they are written.

docs/asyncapi.yaml describes the same frames to clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, cast

if TYPE_CHECKING:
    from chat.file import File
    from chat.messages import Message, StoredMessage


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


class _File(TypedDict, total=False):
    fileKey: str
    fileName: str
    contentType: str
    size: int
    fileUrl: str


class MessageFrame(_File):
    """A message, as the devices of both users receive it."""

    type: Literal["message"]
    messageId: str
    chatId: str
    senderId: str
    recipientId: str
    timestamp: int
    text: NotRequired[str]


class Synced(TypedDict):
    """The end of a catch-up."""

    type: Literal["synced"]
    since: int
    until: int
    count: int
    complete: bool


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


class Download(_File):
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


type ServerFrame = Ack | MessageFrame | Synced | Upload | Download | Error


def to_json(frame: ServerFrame) -> str:
    """Write a frame in as few bytes as it takes: API Gateway bills by size."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


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


def message_frame(message: Message, link: Callable[[File], str]) -> MessageFrame:
    """Show a message to a device.

    Args:
        message: The message.
        link: Signs a link to a file, which is good for minutes only: each frame needs a fresh one.
    """
    frame: MessageFrame = {
        "type": "message",
        "messageId": message.message_id,
        "chatId": message.chat_id,
        "senderId": message.sender_id,
        "recipientId": message.recipient_id,
        "timestamp": message.timestamp,
    }
    if message.text is not None:
        frame["text"] = message.text
    if message.file is not None:
        return {**frame, **_file(message.file, link(message.file))}
    return frame


def synced(*, since: int, until: int, count: int, complete: bool) -> Synced:
    """End a catch-up that pushed `count` messages; the next one should begin at `until`."""
    return {
        "type": "synced",
        "since": since,
        "until": until,
        "count": count,
        "complete": complete,
    }


def upload(
    chat_id: str, file_key: str, url: str, headers: dict[str, str], lifetime_s: int
) -> Upload:
    """Hand out a link to upload with, and the headers that must go with the bytes."""
    return {
        "type": "upload",
        "action": "sendfile",
        "chatId": chat_id,
        "fileKey": file_key,
        "uploadUrl": url,
        "method": "PUT",
        "headers": headers,
        "expiresIn": lifetime_s,
    }


def download(chat_id: str, file: File, url: str, lifetime_s: int) -> Download:
    """Hand out a link to download with."""
    return {
        "type": "download",
        "action": "sendfile",
        "chatId": chat_id,
        **_file(file, url),
        "expiresIn": lifetime_s,
    }


def error(
    code: str,
    message: str,
    *,
    action: str | None,
    retry_after_ms: int | None,
    request_id: str | None,
    client_message_id: str | None,
) -> Error:
    """Answer a frame or a handshake that was refused, or failed. What is none is left out."""
    frame = {
        "type": "error",
        "action": action,
        "code": code,
        "message": message,
        "retryAfterMs": retry_after_ms,
        "requestId": request_id,
        "clientMessageId": client_message_id,
    }
    return cast("Error", {name: value for name, value in frame.items() if value is not None})


def _file(file: File, link: str) -> _File:
    return {
        "fileKey": file.key,
        "fileName": file.name,
        "contentType": file.content_type,
        "size": file.size,
        "fileUrl": link,
    }
