"""The catch-up: push to a connection the messages that its user missed."""

from __future__ import annotations

import time
from contextlib import nullcontext
from itertools import chain, islice
from math import inf
from typing import Final

from chat.catch_up_request import CatchUpRequest
from chat.connections import Connection, Connections
from chat.errors import Unauthorized, Unavailable
from chat.files import Files
from chat.messages import Messages
from chat.push import Outcome, Push
from chat.retry import attempts, deadline_in, is_over
from chat.server_frames import MessageFields, MessagesFrame, Pushed, Synced, batches, to_json
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

_MAX_MESSAGES: Final = 2000
_TIMEOUT_S: Final = 8.0
_PUSH_TIMEOUT_S: Final = 6.0
# Later than this after a run began, no push is tried again.
_RETRY_TIMEOUT_S: Final = 12.0


class CatchUp:
    """Pushes missed messages to connections that ask for them.

    They come oldest first, and one frame after the other, because API Gateway keeps no order
    between pushes that are under way together. So at most one run replays to a connection at a
    time. A message may come twice: it may be pushed live too, and a run may be repeated.
    A run pushes `max_messages` before ``synced``, begins no frame after `timeout_s`, and waits for
    `push_timeout_s` for a handshake to end, and for a connection that cannot take any more.
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
        """Push what was stored after a handshake's `since`, then ``synced``, then look once more.

        Raises:
            Unavailable: It could not be done to the end; Lambda runs it again. The client does not
                believe that it has everything, or gets the rest then.
        """
        run = _Run(self._connections, self._push, request, self._push_timeout_s)
        try:
            end = self._push_missed(request, run)
            run.push(end)
            if end["complete"]:
                # Otherwise the client asks again, from the last message on.
                self._look_again(request, run)
            _report(run, end)
        except Unauthorized:
            self._connections.remove(request.connection_id, request.user_id)
            logger.info("left while catching up", replayed=len(run.pushed))
        except Unavailable as error:
            logger.info("catch-up interrupted", replayed=len(run.pushed), cause=cause_of(error))
            raise

    def answer(self, request: CatchUpRequest) -> Synced:
        """Push what was stored after a frame's `since`, and return ``synced``.

        Raises:
            Unauthorized: The connection is gone.
            Unavailable: It could not be done to the end, or another one of the connection runs.
        """
        run = _Run(self._connections, self._push, request, self._push_timeout_s)
        run.opened_at = time.monotonic()
        try:
            end = self._push_missed(request, run)
        except Unauthorized:
            self._connections.remove(request.connection_id, request.user_id)
            raise
        _report(run, end)
        return end

    def _push_missed(self, request: CatchUpRequest, run: _Run) -> Synced:
        """Push what the index shows; return ``synced``, which says whether that was everything."""
        began_at = time.monotonic()
        deadline = began_at + self._timeout_s
        reached = request.since - OVERLAP_MS
        missed = self._messages.sent_to(request.user_id, since=reached)
        first = list(islice(missed, 1))
        found = islice(chain(first, missed), self._max_messages)
        mark = self._connections.catching_up(request.connection_id, str(request.request_id))
        # Most `getmessages` find nothing, and then the mark would cost more than the rest.
        with mark if first else nullcontext():
            for batch in batches(found, self._files.link, request.user_id):
                if is_over(deadline):
                    complete = False
                    break
                run.push_messages(batch)
                reached = batch[-1]["timestamp"]
            else:
                complete = next(missed, None) is None
        record("CatchUpDuration", (time.monotonic() - began_at) * 1000, "Milliseconds")
        record("MessagesReplayed", len(run.pushed), "Count")
        return Synced(
            type="synced",
            since=request.since,
            until=_until(request, reached, complete=complete),
            count=len(run.pushed),
            complete=complete,
        )

    def _look_again(self, request: CatchUpRequest, run: _Run) -> None:
        """Push what the index did not show before.

        A message that was not pushed live to this connection was stored before the connection was
        registered, or was given up while the handshake went on. Either way it was stored before
        the first push of this run succeeded. So the index shows it once it has lagged from then on
        for as long as it may.
        """
        time.sleep(max(0, run.opened_at + INDEX_LAG_S - time.monotonic()))
        since = request.asked_at - OVERLAP_MS
        found = self._messages.sent_to(request.user_id, since=since)
        new = (message for message in found if message.message_id not in run.pushed)
        for batch in batches(new, self._files.link, request.user_id):
            run.push_messages(batch)
            # One that was received later may have been pushed live as well: it was not late.
            count("FoundLate", sum(each["timestamp"] < request.asked_at for each in batch))


def _report(run: _Run, end: Synced) -> None:
    count("CatchUps")
    logger.info("caught up", replayed=len(run.pushed), complete=end["complete"])


class _Run:
    """The state of one run.

    Attributes:
        pushed: The ids of the messages that were pushed.
        opened_at: When the first push had succeeded, on `time.monotonic`'s clock; infinite before.
    """

    def __init__(
        self, connections: Connections, push: Push, request: CatchUpRequest, timeout_s: float
    ) -> None:
        self._connections = connections
        self._push = push
        self._connection = Connection(
            request.connection_id, request.user_id, request.asked_at, request.expires_at
        )
        self._timeout_s = timeout_s
        self._retry_deadline = deadline_in(_RETRY_TIMEOUT_S)
        self.pushed: set[str] = set()
        self.opened_at = inf

    def push_messages(self, batch: list[MessageFields]) -> None:
        """Push messages in one frame."""
        self.push(MessagesFrame(type="messages", messages=batch))
        self.pushed.update(each["messageId"] for each in batch)

    def push(self, frame: Pushed) -> None:
        """Push one frame; wait for the handshake to end, and for a client that reads slowly."""
        data = to_json(frame).encode()
        for _ in attempts(min(deadline_in(self._timeout_s), self._retry_deadline)):
            outcome = self._push.post(self._connection, data)
            if outcome is Outcome.OK:
                self.opened_at = min(self.opened_at, time.monotonic())
                return
            if outcome is Outcome.GONE:
                if self.opened_at < inf:
                    break
                # Its handshake may go on; but not if it was closed, and lost its row.
                self._connections.read(self._connection.connection_id)
        if outcome is Outcome.GONE:
            raise Unauthorized("This connection is closed. Connect again.")
        raise Unavailable("The connection took no message in time.")


def _until(request: CatchUpRequest, reached: int, *, complete: bool) -> int:
    """Return where the next catch-up should begin, in milliseconds since 1970.

    It will look back from there by the overlap. Only API Gateway's times go in, which messages are
    stored under: this machine's clock may differ.
    """
    if complete:
        return request.asked_at
    # Looking back to the last message pushed is enough, unless messages may still come up before
    # it. Further back, a user with more than a run's worth of messages within the overlap would be
    # sent the same ones again and again.
    return min(request.asked_at, reached + OVERLAP_MS)
