"""What was missed, pushed to the connection that asks for it: `chat.catch_up`, done."""

from __future__ import annotations

import time
from collections.abc import Mapping

from chat.catch_up import CatchUp
from chat.connections import Connections
from chat.errors import Unavailable
from chat.files import Files
from chat.frames import to_json
from chat.messages import Messages
from chat.push import Outcome, Push, pauses_s
from chat.telemetry import cause_of, count, logger, record

# A message received before another may be stored after it, because an integration may run 29 s:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
# So whoever has seen everything up to a moment has not seen everything from the 30 s before it.
OVERLAP_MS = 30_000

_MOST_MESSAGES = 500
_LONGEST_S = 12.0
_PATIENCE_S = 6.0


class _Left(Exception):
    """The connection is gone."""


class Replay:
    """What a container needs to let users catch up.

    Args:
        most_messages: How many messages one run replays.
        longest_s: For how long it does so, in seconds.
        patience_s: For how long it waits, in seconds, for a handshake to end, and for a connection
            that cannot take any more.
    """

    def __init__(
        self,
        connections: Connections,
        messages: Messages,
        files: Files,
        push: Push,
        *,
        most_messages: int = _MOST_MESSAGES,
        longest_s: float = _LONGEST_S,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._connections = connections
        self._messages = messages
        self._files = files
        self._push = push
        self._most_messages = most_messages
        self._longest_s = longest_s
        self._patience_s = patience_s

    def run(self, catch_up: CatchUp) -> None:
        """Push every message to the user that was stored after `since`, then ``synced``.

        Messages come oldest first, one after the other, because API Gateway keeps no order between
        pushes that are under way together. A run may be repeated: a message may come twice.

        Raises:
            Unavailable: It could not be done to the end. ``synced`` was not sent, so the client
                does not believe that it has everything; Lambda runs it again.
        """
        replayed = 0
        reached = catch_up.since - OVERLAP_MS
        complete = True
        began_at = time.monotonic()
        ends_at = began_at + self._longest_s
        try:
            for message in self._messages.sent_to(catch_up.user_id, since=reached):
                if replayed == self._most_messages or time.monotonic() > ends_at:
                    complete = False
                    break
                self._post(catch_up, message.as_frame(self._files.link), is_open=replayed > 0)
                replayed += 1
                reached = message.timestamp
            until = _until(catch_up, reached, complete=complete)
            synced = {
                "type": "synced",
                "since": catch_up.since,
                "until": until,
                "count": replayed,
                "complete": complete,
            }
            self._post(catch_up, synced, is_open=replayed > 0)
        except _Left:
            logger.info("left while catching up", replayed=replayed)
        except Unavailable as error:
            logger.info("catch-up interrupted", replayed=replayed, cause=cause_of(error))
            raise
        else:
            logger.info("caught up", replayed=replayed, complete=complete)
        count("CatchUps")
        record("MessagesReplayed", replayed, "Count")
        record("CatchUpDuration", (time.monotonic() - began_at) * 1000, "Milliseconds")

    def _post(self, catch_up: CatchUp, frame: Mapping[str, object], *, is_open: bool) -> None:
        data = to_json(frame).encode()
        connection_id = catch_up.connection_id
        outcome = self._push.post(connection_id, data)
        for pause in pauses_s(most=self._patience_s):
            if outcome is Outcome.REACHED or (outcome is Outcome.GONE and is_open):
                break
            # The handshake is not over, or the client reads more slowly than we write.
            time.sleep(pause)
            outcome = self._push.post(connection_id, data)
        if outcome is Outcome.GONE:
            self._connections.remove(connection_id)
            raise _Left
        if outcome is Outcome.FAILED:
            raise Unavailable("The connection did not take a message in time.")


def _until(catch_up: CatchUp, reached: int, *, complete: bool) -> int:
    """Say where the next catch-up should begin, in milliseconds since 1970.

    It will look back from there by the overlap. Only API Gateway's times go in, which messages are
    stored under: this machine's clock may differ.
    """
    if complete:
        return max(catch_up.connected_at, reached)
    # To look back to the last message replayed is enough, unless messages may still come up before
    # it. It is also necessary: otherwise one who got more than a run's worth of messages within the
    # overlap would be sent the same ones for ever.
    return min(catch_up.connected_at, reached + OVERLAP_MS)
