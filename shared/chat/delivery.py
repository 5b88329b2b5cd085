"""Delivery: store a message, push it to the connections of both users, acknowledge it."""

from __future__ import annotations

import time

from chat.chats import UserId
from chat.client_frame import ClientFrame
from chat.connections import Origin
from chat.fan_out import FanOut
from chat.files import Files
from chat.messages import Message, Messages
from chat.push import Outcome
from chat.server_frames import Ack, ack, message_frame
from chat.telemetry import count, logger
from chat.waiting_topic import WaitingTopic


class Delivery:
    """Delivers messages."""

    def __init__(
        self, messages: Messages, files: Files, fan_out: FanOut, topic: WaitingTopic | None = None
    ) -> None:
        self._messages = messages
        self._files = files
        self._fan_out = fan_out
        self._topic = topic

    def send(
        self, frame: ClientFrame, *, user_id: UserId, came_from: Origin, received_at: int
    ) -> Ack:
        """Store a message, push it, and return the ``ack`` for its sender.

        The connections are read after the message was stored, never before or meanwhile: so one
        that is registered too late to be found here was registered after the message was stored,
        and its own catch-up finds the message. A file is retained before the message is stored,
        never after. Once it is stored nothing that fails undoes it: a device that was not reached
        reads it later. A resend is pushed again, because the first attempt may have ended before it
        pushed; devices dedupe messages by their ids. `came_from`, which sent it, gets no push.
        What reached no connection of the recipient is announced to the topic, if there is one.
        `received_at` is in milliseconds.

        Raises:
            InvalidRequest: It is not of the agreed form.
            Forbidden: The user is not in the chat, or the file is not the chat's.
            NotFound: There is no such file.
            TooLarge: The file is larger than this deployment takes.
            UnsupportedType: The file was uploaded with headers that are not taken.
            Unavailable: The message could not be stored; it was not pushed either.
        """
        began_at = time.monotonic()
        message = Message.from_frame(
            frame, sender_id=user_id, received_at=received_at, retain=self._files.retain
        )
        stored = self._messages.store(message, began_at=began_at)
        count("Resends" if stored.duplicate else "MessagesStored")

        frames = {
            reader_id: message_frame(stored.message, self._files.link, reader_id)
            for reader_id in (message.recipient_id, message.sender_id)
        }
        pushed = self._fan_out.push(frames, came_from=came_from, now=received_at, began_at=began_at)
        outcomes = [outcome for each in pushed.values() for outcome in each]
        delivered = pushed[message.recipient_id].count(Outcome.OK)
        count("MessagesPushed", outcomes.count(Outcome.OK))
        count("MessagesWaiting", int(delivered == 0))
        logger.info(
            "message sent",
            message_id=stored.message.message_id,
            duplicate=stored.duplicate,
            devices=len(outcomes),
            delivered=delivered,
        )
        if delivered == 0 and self._topic:
            self._topic.notify(stored.message)
        return ack(stored, delivered)
