"""A message's way: stored, then pushed to both sides' devices, then acknowledged."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from chat import aws
from chat.connections import Connection, ConnectionId, Connections
from chat.errors import Unavailable
from chat.files import Files
from chat.frames import to_json
from chat.messages import Message, Messages, Stored
from chat.push import Outcome, Push
from chat.telemetry import count, logger

# on_connect writes the row just before it returns, so to wait longer would be to wait for the dead.
_HANDSHAKE_PATIENCE_S: Final = 0.75


class Delivery:
    """What a container needs to deliver messages."""

    def __init__(
        self, connections: Connections, messages: Messages, files: Files, push: Push
    ) -> None:
        self._connections = connections
        self._messages = messages
        self._files = files
        self._push = push
        # Threads start when they are first needed, and wait for the next invocation.
        self._side_by_side = ThreadPoolExecutor(aws.PARALLEL_CALLS)

    def send(self, message: Message, *, came_from: ConnectionId) -> dict[str, object]:
        """Store a message, push it, and give the ``ack`` for its sender.

        The connections are looked up while the file is, and while the message is being stored. A
        file is kept before the message is stored, never after. Once it is stored nothing that fails
        undoes it: who was not reached reads it later. A resend is pushed again, because the first
        attempt may have ended before it pushed; devices know messages by their ids.

        Args:
            message: What to send.
            came_from: The connection that sent it, which gets the ``ack`` and no push.

        Raises:
            NotFound: There is no such file.
            TooLarge: The file is larger than this deployment takes.
            Unavailable: The message could not be stored; it was not pushed either.
        """
        began_at = time.monotonic()
        recipient = self._side_by_side.submit(self._connections.of, message.recipient_id)
        sender = self._side_by_side.submit(self._connections.of, message.sender_id)
        if message.file_key is not None:
            message = replace(message, file=self._files.keep(message.file_key))
        stored = self._messages.store(message, began_at=began_at)
        count("Resends" if stored.duplicate else "MessagesStored")

        theirs = _found(recipient)
        own = [device for device in _found(sender) if device.connection_id != came_from]
        data = to_json(stored.message.as_frame(self._files.link)).encode()
        now = message.timestamp  # API Gateway's
        outcomes = list(
            self._side_by_side.map(lambda device: self._push_to(device, data, now), theirs + own)
        )
        delivered = outcomes[: len(theirs)].count(Outcome.REACHED)
        count("MessagesPushed", outcomes.count(Outcome.REACHED))
        count("PushFailures", outcomes.count(Outcome.FAILED))
        count("MessagesWaiting", int(delivered == 0))
        logger.info(
            "message sent",
            message_id=stored.message.message_id,
            duplicate=stored.duplicate,
            devices=len(outcomes),
            delivered=delivered,
        )
        return _ack(stored, delivered)

    def _push_to(self, device: Connection, data: bytes, now: int) -> Outcome:
        if device.may_be_opening(now):
            # Even after that a 410 is no proof. A later push will know.
            return self._push.post_while_opening(
                device.connection_id, data, patience_s=_HANDSHAKE_PATIENCE_S
            )
        outcome = self._push.post(device.connection_id, data)
        if outcome is Outcome.GONE:
            self._forget(device)
        return outcome

    def _forget(self, device: Connection) -> None:
        try:
            self._connections.remove(device.connection_id)
        except Unavailable:
            logger.warning("dead connection not removed", dead=device.connection_id)
        else:
            count("DeadConnectionsRemoved")
            logger.info("dead connection removed", dead=device.connection_id)


def _found(devices: Future[list[Connection]]) -> list[Connection]:
    try:
        return devices.result()
    except Unavailable:
        # The message is stored by now. Not to know whom to push it to costs its readers time.
        logger.warning("connections not found in time")
        count("LookupFailures")
        return []


def _ack(stored: Stored, delivered: int) -> dict[str, object]:
    message = stored.message
    ack: dict[str, object] = {
        "type": "ack",
        "action": "sendmessage",
        "messageId": message.message_id,
        "chatId": message.chat_id,
        "timestamp": message.timestamp,
        "delivered": delivered,
    }
    if message.client_message_id is not None:
        ack["clientMessageId"] = message.client_message_id
    if stored.duplicate:
        ack["duplicate"] = True
    return ack
