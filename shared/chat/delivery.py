"""A message's way: stored, then pushed to both sides' devices, then acknowledged."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from chat import aws
from chat.connections import Connection, ConnectionId, Connections
from chat.errors import Unavailable
from chat.frames import to_json
from chat.messages import Message, Messages
from chat.push import Outcome, Push
from chat.telemetry import count, logger

# A post to a connection is answered 410 until its $connect has returned, which API Gateway waits
# for at most 29 s: https://repost.aws/knowledge-center/410-gone-api-gateway
_LONGEST_HANDSHAKE_MS: Final = 30_000
# How long a push waits for a handshake to end: 0.75 s in all. The row is the last thing on_connect
# writes before it returns, so more would be waiting for the dead.
_HANDSHAKE_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4)


class Delivery:
    """What a container needs to deliver messages."""

    def __init__(self, connections: Connections, messages: Messages, push: Push) -> None:
        self._connections = connections
        self._messages = messages
        self._push = push
        # Threads start when they are first needed, and wait for the next invocation.
        self._side_by_side = ThreadPoolExecutor(aws.PARALLEL_CALLS)

    def send(self, message: Message, *, came_from: ConnectionId) -> dict[str, object]:
        """Store a message, push it, and give the ``ack`` for its sender.

        The connections are looked up while the message is being stored. Once it is stored nothing
        that fails undoes it: who was not reached reads it later.

        Args:
            message: What to send.
            came_from: The connection that sent it, which gets the ``ack`` and no push.

        Raises:
            Unavailable: The message could not be stored; it was not pushed either.
        """
        recipient = self._side_by_side.submit(self._connections.of, message.recipient_id)
        sender = self._side_by_side.submit(self._connections.of, message.sender_id)
        stored = self._messages.store(message)
        count("MessagesStored")

        theirs = _found(recipient)
        own = [device for device in _found(sender) if device.connection_id != came_from]
        data = to_json(stored.as_frame()).encode()
        outcomes = list(
            self._side_by_side.map(lambda device: self._push_to(device, data), theirs + own)
        )
        delivered = outcomes[: len(theirs)].count(Outcome.REACHED)
        count("MessagesPushed", outcomes.count(Outcome.REACHED))
        count("PushFailures", outcomes.count(Outcome.FAILED))
        count("MessagesWaiting", int(delivered == 0))
        logger.info(
            "message sent",
            message_id=stored.message_id,
            devices=len(outcomes),
            delivered=delivered,
        )
        return _ack(stored, delivered)

    def _push_to(self, device: Connection, data: bytes) -> Outcome:
        outcome = self._push.post(device.connection_id, data)
        if outcome is not Outcome.GONE:
            return outcome
        if time.time() * 1000 - device.connected_at > _LONGEST_HANDSHAKE_MS:
            self._forget(device)
            return outcome
        for pause in _HANDSHAKE_PAUSES_S:
            time.sleep(pause)
            outcome = self._push.post(device.connection_id, data)
            if outcome is not Outcome.GONE:
                break
        # Still 410: it may yet come to life, so it is left for a later push to remove.
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


def _ack(message: Message, delivered: int) -> dict[str, object]:
    return {
        "type": "ack",
        "action": "sendmessage",
        "messageId": message.message_id,
        "chatId": message.chat_id,
        "timestamp": message.timestamp,
        "delivered": delivered,
    }
