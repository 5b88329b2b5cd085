"""The rate limit: how many frames of a connection are answered."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import Final, Self

from chat.connections import ConnectionId
from chat.errors import Unavailable
from chat.push import Push
from chat.telemetry import logger

_BURST_S: Final = 20
_MAX_BUCKETS: Final = 1024


class RateLimit:
    """Limit frames per connection, by a token bucket each; refuse those beyond it.

    A connection that goes on for as many frames as a burst has is closed: API Gateway throttles all
    connections of a route together, and counts refused frames too. The limit is approximate. It
    holds per container, so that it costs no call: a connection whose frames several containers
    answer may send as many times more. A refused frame takes a container a millisecond, so a flood
    keeps few of them busy. A rate of 0 is no limit.
    """

    def __init__(self, push: Push, frames_per_s: int) -> None:
        self._push = push
        self._frames_per_s = frames_per_s
        # The tokens that each connection had left, and when; the one that was used last at the end.
        self._buckets: OrderedDict[ConnectionId, tuple[float, float]] = OrderedDict()

    @classmethod
    def from_environment(cls) -> Self:
        """Use the deployed API, and the deployment's limit."""
        return cls(Push.from_environment(), int(os.environ["MAX_FRAMES_PER_SECOND"]))

    def admit(self, connection_id: ConnectionId) -> None:
        """Take a token for a frame.

        Raises:
            Unavailable: There is none.
        """
        burst, now = self._frames_per_s * _BURST_S, time.monotonic()
        if not burst:
            return
        tokens, then = self._buckets.pop(connection_id, (burst, now))
        tokens = min(burst, tokens + (now - then) * self._frames_per_s) - 1
        is_flooding = tokens <= -burst
        self._buckets[connection_id] = (0 if is_flooding else tokens, now)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if is_flooding:
            outcome = self._push.close(connection_id)
            logger.warning("flooding connection closed", outcome=outcome.name)
        if tokens < 0:
            raise Unavailable("This connection sends too many frames. Send the same again later.")
