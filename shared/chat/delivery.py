"""Delivery: store a message, push it to the connections of both users, acknowledge it."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from chat import aws
from chat.connections import Connection, ConnectionId, Connections
from chat.errors import Unavailable
from chat.files import Files
from chat.messages import Message, Messages, NewMessage
from chat.push import Outcome, Push
from chat.retry import is_over
from chat.server_frames import Ack, ack, message_frame, to_json
from chat.telemetry import count, logger

# Later than this after the work began, dead connections are left to a later push.
_CLEANUP_TIMEOUT_S: Final = 10.0
# on_connect writes the row just before it returns, so waiting longer would be waiting for the dead.
_OPENING_TIMEOUT_S: Final = 0.75


class Delivery:
    """Delivers messages."""

    def __init__(
        self, connections: Connections, messages: Messages, files: Files, push: Push
    ) -> None:
        self._connections = connections
        self._messages = messages
        self._files = files
        self._push = push

    def send(self, new: NewMessage, *, came_from: ConnectionId) -> Ack:
        """Store a message, push it, and return the ``ack`` for its sender.

        The connections are read after the message was stored, never before or meanwhile: so one
        that is registered too late to be found here was registered after the message was stored,
        and its own catch-up finds the message. A file is retained before the message is stored,
        never after. Once it is stored nothing that fails undoes it: a device that was not reached
        reads it later. A resend is pushed again, because the first attempt may have ended before it
        pushed; devices dedupe messages by their ids.

        Args:
            new: What to send.
            came_from: The connection that sent it, which gets the ``ack`` and no push.

        Raises:
            NotFound: There is no such file.
            TooLarge: The file is larger than this deployment takes.
            Unavailable: The message could not be stored; it was not pushed either.
        """
        began_at = time.monotonic()
        message = new.to_message(self._files.retain)
        stored = self._messages.store(message, began_at=began_at)
        count("Resends" if stored.duplicate else "MessagesStored")

        devices = [
            device for device in self._devices_of(message) if device.connection_id != came_from
        ]
        data = to_json(message_frame(stored.message, self._files.link)).encode()
        now = new.received_at  # API Gateway's
        outcomes = aws.in_parallel(
            [partial(self._push_to, device, data, now, began_at) for device in devices]
        )
        delivered = sum(
            outcome is Outcome.OK and device.user_id == message.recipient_id
            for device, outcome in zip(devices, outcomes, strict=True)
        )
        count("MessagesPushed", outcomes.count(Outcome.OK))
        count("PushFailures", outcomes.count(Outcome.FAILED))
        count("MessagesWaiting", int(delivered == 0))
        logger.info(
            "message sent",
            message_id=stored.message.message_id,
            duplicate=stored.duplicate,
            devices=len(outcomes),
            delivered=delivered,
        )
        return ack(stored, delivered)

    def _devices_of(self, message: Message) -> list[Connection]:
        """Return the connections of both users that could be read in time."""
        devices: list[Connection] = []
        try:
            for device in self._connections.of(message.recipient_id, message.sender_id):
                devices.append(device)  # noqa: PERF402 -- those before a failure count
        except Unavailable:
            # The message is stored by now. Not knowing its devices costs its readers time.
            logger.warning("connections not found in time")
            count("LookupFailures")
        return devices

    def _push_to(self, device: Connection, data: bytes, now: int, began_at: float) -> Outcome:
        is_opening = device.may_be_opening(now)
        outcome = self._push.post(
            device.connection_id, data, opening_timeout_s=_OPENING_TIMEOUT_S if is_opening else 0
        )
        # While it may be opening, a 410 is no proof even now. A later push will know.
        is_late = is_over(began_at + _CLEANUP_TIMEOUT_S)
        if outcome is Outcome.GONE and not is_opening and not is_late:
            self._forget(device)
        return outcome

    def _forget(self, device: Connection) -> None:
        try:
            self._connections.remove(device.connection_id, device.user_id)
        except Unavailable:
            logger.warning("dead connection not removed", dead=device.connection_id)
        else:
            count("DeadConnectionsRemoved")
            logger.info("dead connection removed", dead=device.connection_id)
