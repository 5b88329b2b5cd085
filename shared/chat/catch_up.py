"""The catch-up: push to a connection the messages that its user missed."""

from __future__ import annotations

import time
from typing import Final

from chat.catch_up_request import CatchUpRequest
from chat.connections import Connections
from chat.errors import Unavailable
from chat.files import Files
from chat.messages import Message, Messages
from chat.push import Outcome, Push
from chat.retry import attempts, deadline_in, is_over
from chat.server_frames import ServerFrame, message_frame, synced, to_json
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


class CatchUp:
    """Pushes missed messages to connections that ask for them.

    Args:
        max_messages: How many messages one run pushes before ``synced``.
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

    def run(self, request: CatchUpRequest) -> None:
        """Push every message to the user that was stored after `since`, then ``synced``.

        Then look once more, when the index has had time to catch up. Messages come oldest first,
        one after the other, because API Gateway keeps no order between pushes that are under way
        together. A run may be repeated, and a message may be pushed live too: it may come twice.

        Raises:
            Unavailable: It could not be done to the end; Lambda runs it again. The client does not
                believe that it has everything, or gets the rest then.
        """
        run = _Run(self._push, request, self._push_timeout_s)
        began_at = time.monotonic()
        try:
            complete = self._push_missed(request, run)
            record("CatchUpDuration", (time.monotonic() - began_at) * 1000, "Milliseconds")
            record("MessagesReplayed", len(run.pushed), "Count")
            if complete:
                # Otherwise the client asks again, from the last message on.
                self._look_again(request, run)
        except _Left:
            self._connections.remove(request.connection_id, request.user_id)
            logger.info("left while catching up", replayed=len(run.pushed))
        except Unavailable as error:
            logger.info("catch-up interrupted", replayed=len(run.pushed), cause=cause_of(error))
            raise
        else:
            logger.info("caught up", replayed=len(run.pushed), complete=complete)
        count("CatchUps")

    def _push_missed(self, request: CatchUpRequest, run: _Run) -> bool:
        """Push what the index shows, then ``synced``; return whether that was everything."""
        reached = request.since - OVERLAP_MS
        complete = True
        deadline = deadline_in(self._timeout_s)
        for message in self._messages.sent_to(request.user_id, since=reached):
            if len(run.pushed) == self._max_messages or is_over(deadline):
                complete = False
                break
            self._push_message(message, run)
            reached = message.timestamp
        run.push(
            synced(
                since=request.since,
                until=_until(request, reached, complete=complete),
                count=len(run.pushed),
                complete=complete,
            )
        )
        return complete

    def _look_again(self, request: CatchUpRequest, run: _Run) -> None:
        """Push what the index did not show before.

        A message that was not pushed live to this connection was stored before the connection was
        registered, or was given up while the handshake went on. Either way it was stored before
        the first push of this run succeeded. So the index shows it once it has lagged from then on
        for as long as it may.
        """
        time.sleep(max(0, run.opened_at + INDEX_LAG_S - time.monotonic()))
        since = request.connected_at - OVERLAP_MS
        for message in self._messages.sent_to(request.user_id, since=since):
            if message.message_id in run.pushed:
                continue
            self._push_message(message, run)
            # One that was received later may have been pushed live as well: it was not late.
            count("FoundLate", int(message.timestamp < request.connected_at))

    def _push_message(self, message: Message, run: _Run) -> None:
        run.push(message_frame(message, self._files.link))
        run.pushed.add(message.message_id)


class _Run:
    """The state of one run: its connection, and what has been pushed to it.

    Attributes:
        pushed: The ids of the messages that were pushed.
        opened_at: When the first push had succeeded, on `time.monotonic`'s clock; infinite before.
    """

    def __init__(self, push: Push, request: CatchUpRequest, timeout_s: float) -> None:
        self._push = push
        self._connection_id = request.connection_id
        self._timeout_s = timeout_s
        self.pushed: set[str] = set()
        self.opened_at = float("inf")

    def push(self, frame: ServerFrame) -> None:
        """Push one frame; wait for the handshake to end, and for a client that reads slowly.

        Raises:
            _Left: The connection is gone.
            Unavailable: It did not take the frame in time.
        """
        data = to_json(frame).encode()
        for _ in attempts(deadline_in(self._timeout_s)):
            outcome = self._push.post(self._connection_id, data)
            if outcome is Outcome.OK:
                self.opened_at = min(self.opened_at, time.monotonic())
                return
            if outcome is Outcome.GONE and self._is_open:
                break
        if outcome is Outcome.GONE:
            raise _Left
        raise Unavailable("The connection took no message in time.")

    @property
    def _is_open(self) -> bool:
        return self.opened_at < float("inf")


def _until(request: CatchUpRequest, reached: int, *, complete: bool) -> int:
    """Return where the next catch-up should begin, in milliseconds since 1970.

    It will look back from there by the overlap. Only API Gateway's times go in, which messages are
    stored under: this machine's clock may differ.
    """
    if complete:
        return request.connected_at
    # Looking back to the last message pushed is enough, unless messages may still come up before
    # it. It is also necessary: otherwise a user who got more than a run's worth of messages within
    # the overlap would be sent the same ones again and again.
    return min(request.connected_at, reached + OVERLAP_MS)
