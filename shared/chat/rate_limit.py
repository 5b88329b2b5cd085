"""The rate limit: how many frames of a connection are answered."""

from __future__ import annotations

import os
import time
from typing import Final, Self

from chat.connections import ConnectionId
from chat.errors import Unavailable
from chat.push import Push
from chat.telemetry import logger

_BURST_S: Final = 20
_MAX_BUCKETS: Final = 1024


class RateLimit:
    """Limit frames per connection, by a token bucket each; a rate of 0 is no limit.

    A connection that has as many frames refused as a burst holds is closed: API Gateway throttles
    all connections together, and counts refused frames too. The limit is approximate: it holds per
    container, so that it costs no call. A refused frame takes a millisecond, so that a flood keeps
    few containers busy.
    """

    def __init__(self, push: Push, frames_per_s: int) -> None:
        self._push = push
        self._frames_per_s = frames_per_s
        # The tokens that each connection had left, and when; the one used last is last.
        self._buckets: dict[ConnectionId, tuple[float, float]] = {}

    @classmethod
    def from_environment(cls) -> Self:
        """Use the deployed API, and the deployment's limit."""
        return cls(Push.from_environment(), int(os.environ["MAX_FRAMES_PER_SECOND"]))

    def admit(self, connection_id: ConnectionId) -> None:
        """Take a token for a frame; raise `Unavailable` if there is none."""
        burst, now = self._frames_per_s * _BURST_S, time.monotonic()
        if not burst:
            return
        tokens, then = self._buckets.pop(connection_id, (burst, now))
        tokens = min(burst, tokens + (now - then) * self._frames_per_s) - 1
        is_flooding = tokens <= -burst
        self._buckets[connection_id] = (0 if is_flooding else tokens, now)
        if len(self._buckets) > _MAX_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        if is_flooding:
            outcome = self._push.close(connection_id)
            logger.warning("flooding connection closed", outcome=outcome.name)
        if tokens < 0:
            raise Unavailable("This connection sends too many frames. Send the same again later.")
