"""Signals: a user has received or read a chat, or is typing."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final

from chat.chats import Chat, UserId
from chat.client_frame import MAX_TIMESTAMP, ClientFrame
from chat.connections import Origin
from chat.errors import Forbidden, InvalidRequest
from chat.fan_out import FanOut
from chat.messages import Messages
from chat.receipts import Kind, Receipts
from chat.server_frames import ReceiptFrame, SignalAck, Typing
from chat.telemetry import count, logger

_RECEIPTS: Final[tuple[Kind, Kind]] = ("received", "read")
_MAX_CACHED: Final = 1024


def is_signal(frame: ClientFrame) -> bool:
    """Return whether a ``sendmessage`` frame is a signal, rather than a message."""
    return any(map(frame.has, (*_RECEIPTS, "typing")))


class Signals:
    """Stores receipts, and pushes signals to both users of a chat."""

    def __init__(self, messages: Messages, receipts: Receipts, fan_out: FanOut) -> None:
        self._messages = messages
        self._receipts = receipts
        self._fan_out = fan_out
        # A chat that had a message can be signalled to. A refusal is an exception: not cached.
        self._cached_newest_in = lru_cache(_MAX_CACHED)(self._newest_in)

    def send(
        self, frame: ClientFrame, *, user_id: UserId, came_from: Origin, received_at: int
    ) -> SignalAck:
        """Store a receipt; push a signal; return the ``ack``.

        A receipt that changes nothing is not pushed, and nothing is pushed to `came_from`, which
        sent the frame. `received_at` is in milliseconds since 1970.

        Raises:
            InvalidRequest: It is more than one thing, or not of the agreed form.
            Forbidden: The user is not in the chat, or the chat has no message.
            Unavailable: DynamoDB is overloaded or out of reach.
        """
        began_at = time.monotonic()
        chat = Chat.from_frame(frame)
        partner_id = chat.partner_of(user_id)
        fields = filter(frame.has, (*_RECEIPTS, "typing", "text", "fileKey"))
        if len(list(fields)) > 1:
            raise InvalidRequest("Send a message, `received`, `read` and `typing` in a frame each.")
        ack: SignalAck = {"type": "ack", "action": "sendmessage", "chatId": chat.id}
        push: ReceiptFrame | Typing | None
        if frame.has("typing"):
            ack["typing"] = frame.true("typing")
            self._cached_newest_in(chat)
            push = {"type": "typing", "chatId": chat.id, "userId": user_id}
        else:
            kind: Kind = "read" if frame.has("read") else "received"
            ack[kind] = frame.whole_number(kind, maximum=MAX_TIMESTAMP)
            push = self._store(chat, user_id, kind, ack[kind], received_at)
        if push:
            frames = {partner_id: push, user_id: push}
            self._fan_out.push(frames, came_from=came_from, now=received_at, began_at=began_at)
        count("Signals")
        logger.info("signal sent", is_receipt="typing" not in ack, is_pushed=push is not None)
        return ack

    def _store(
        self, chat: Chat, user_id: UserId, kind: Kind, timestamp: int, received_at: int
    ) -> ReceiptFrame | None:
        """Store a receipt; return the frame to push, or none if it changes nothing.

        It reaches to the newest message and not further: otherwise it would hold for a message that
        is stored later, under a time before it. The newest message may have a time later than now.
        """
        newest = self._newest_in(chat)
        if timestamp > max(received_at, newest):
            raise InvalidRequest(f"`{kind}` must not be later than now.")
        times = self._receipts.move(chat, user_id, kind, min(timestamp, newest), newest)
        if times is None:
            return None
        return {"type": "receipt", "chatId": chat.id, "userId": user_id, **times}

    def _newest_in(self, chat: Chat) -> int:
        """Return the newest message's timestamp.

        Raises:
            Forbidden: There is no message. A signal must not reach users who never exchanged one.
        """
        newest = self._messages.page(chat.id, before=None, limit=1)
        if not newest:
            raise Forbidden("There is no message in this chat yet: send one first.")
        return newest[0].timestamp
