"""What was missed, pushed to the connection that asks for it: `chat.catch_up`, done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from chat.catch_up import CatchUp
from chat.connections import Connections
from chat.errors import Unavailable
from chat.files import Files
from chat.frames import to_json
from chat.messages import Message, Messages
from chat.push import Outcome, Push
from chat.retry import backoff_s, deadline_in, is_over
from chat.telemetry import cause_of, count, logger, record

OVERLAP_MS: Final = 60_000
"""How far before `since` a catch-up begins, in milliseconds.

A message may be stored, and shown by the index, after one that was received later. An integration
runs for up to 29 s, and the index usually lags by less than a second:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
https://repost.aws/knowledge-center/dynamodb-missing-table-items-gsi
"""

INDEX_LAG_S: Final = 2.0
"""For how long the index may lag behind the table, in seconds, without a message being missed."""

_MAX_MESSAGES: Final = 500
_TIMEOUT_S: Final = 12.0
_PUSH_TIMEOUT_S: Final = 6.0


class _Left(Exception):
    """The connection is gone."""


class Replay:
    """What a container needs to let users catch up.

    Args:
        max_messages: How many messages one run replays.
        timeout_s: After how many seconds a run begins no other message.
        push_timeout_s: How many seconds a run waits for a handshake to end, and for a connection
            that cannot take any more.
    """

    def __init__(
        self,
        connections: Connections,
        messages: Messages,
        files: Files,
        push: Push,
        *,
        max_messages: int = _MAX_MESSAGES,
        timeout_s: float = _TIMEOUT_S,
        push_timeout_s: float = _PUSH_TIMEOUT_S,
    ) -> None:
        self._connections = connections
        self._messages = messages
        self._files = files
        self._push = push
        self._max_messages = max_messages
        self._timeout_s = timeout_s
        self._push_timeout_s = push_timeout_s

    def run(self, catch_up: CatchUp) -> None:
        """Push every message to the user that was stored after `since`, then ``synced``.

        Then look once more, when the index has had time to catch up. Messages come oldest first,
        one after the other, because API Gateway keeps no order between pushes that are under way
        together. A run may be repeated, and a message may be pushed live too: it may come twice.

        Raises:
            Unavailable: It could not be done to the end; Lambda runs it again. The client does not
                believe that it has everything, or gets the rest then.
        """
        run = _Run(self._push, catch_up, self._push_timeout_s)
        began_at = time.monotonic()
        try:
            complete = self._replay(catch_up, run)
            record("CatchUpDuration", (time.monotonic() - began_at) * 1000, "Milliseconds")
            record("MessagesReplayed", len(run.replayed), "Count")
            if complete:
                # Otherwise the client asks again, from the last message on.
                self._look_again(catch_up, run)
        except _Left:
            self._connections.remove(catch_up.connection_id, catch_up.user_id)
            logger.info("left while catching up", replayed=len(run.replayed))
        except Unavailable as error:
            logger.info("catch-up interrupted", replayed=len(run.replayed), cause=cause_of(error))
            raise
        else:
            logger.info("caught up", replayed=len(run.replayed), complete=complete)
        count("CatchUps")

    def _replay(self, catch_up: CatchUp, run: _Run) -> bool:
        """Push what the index shows, then ``synced``; return whether that was everything."""
        reached = catch_up.since - OVERLAP_MS
        complete = True
        deadline = deadline_in(self._timeout_s)
        for message in self._messages.sent_to(catch_up.user_id, since=reached):
            if len(run.replayed) == self._max_messages or is_over(deadline):
                complete = False
                break
            self._push_message(message, run)
            reached = message.timestamp
        run.push(
            {
                "type": "synced",
                "since": catch_up.since,
                "until": _until(catch_up, reached, complete=complete),
                "count": len(run.replayed),
                "complete": complete,
            }
        )
        return complete

    def _look_again(self, catch_up: CatchUp, run: _Run) -> None:
        """Push what the index did not show before.

        A message that was not pushed live to this connection was stored before the connection was
        registered, or was given up while the handshake went on. Either way it was stored before
        the first push of this run succeeded. So the index shows it once it has lagged from then on
        for as long as it may.
        """
        time.sleep(max(0, run.opened_at + INDEX_LAG_S - time.monotonic()))
        since = catch_up.connected_at - OVERLAP_MS
        for message in self._messages.sent_to(catch_up.user_id, since=since):
            if message.message_id in run.replayed:
                continue
            self._push_message(message, run)
            # One that was received later may have been pushed live as well: it was not late.
            count("FoundLate", int(message.timestamp < catch_up.connected_at))

    def _push_message(self, message: Message, run: _Run) -> None:
        run.push(message.as_frame(self._files.link))
        run.replayed.add(message.message_id)


class _Run:
    """One catch-up's connection, and what has been pushed to it.

    Attributes:
        replayed: The ids of the messages that were pushed.
        opened_at: When the first push had succeeded, on `time.monotonic`'s clock; infinite before.
    """

    def __init__(self, push: Push, catch_up: CatchUp, timeout_s: float) -> None:
        self._push = push
        self._connection_id = catch_up.connection_id
        self._timeout_s = timeout_s
        self.replayed: set[str] = set()
        self.opened_at = float("inf")

    def push(self, frame: Mapping[str, object]) -> None:
        """Push one frame; wait for the handshake to end, and for a client that reads slowly.

        Raises:
            _Left: The connection is gone.
            Unavailable: It did not take the frame in time.
        """
        data = to_json(frame).encode()
        pauses = backoff_s(deadline_in(self._timeout_s))
        while (outcome := self._push.post(self._connection_id, data)) is not Outcome.REACHED:
            is_gone = outcome is Outcome.GONE
            pause = None if is_gone and self._is_open else next(pauses, None)
            if pause is None:
                raise _Left if is_gone else Unavailable("The connection took no message in time.")
            time.sleep(pause)
        self.opened_at = min(self.opened_at, time.monotonic())

    @property
    def _is_open(self) -> bool:
        return self.opened_at < float("inf")


def _until(catch_up: CatchUp, reached: int, *, complete: bool) -> int:
    """Return where the next catch-up should begin, in milliseconds since 1970.

    It will look back from there by the overlap. Only API Gateway's times go in, which messages are
    stored under: this machine's clock may differ.
    """
    if complete:
        return catch_up.connected_at
    # Looking back to the last message replayed is enough, unless messages may still come up before
    # it. It is also necessary: otherwise a user who got more than a run's worth of messages within
    # the overlap would be sent the same ones again and again.
    return min(catch_up.connected_at, reached + OVERLAP_MS)
