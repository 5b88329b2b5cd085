"""Retries: attempts with backoff and jitter, until a deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

_FIRST_PAUSE_S = 0.05


def deadline_in(timeout_s: float) -> float:
    """Return the moment `timeout_s` from now, on `time.monotonic`'s clock."""
    return time.monotonic() + timeout_s


def is_over(deadline: float) -> bool:
    """Return whether a deadline has passed."""
    return time.monotonic() > deadline


def attempts(deadline: float) -> Iterator[None]:
    """Yield once for each attempt, and sleep between two of them. The first is never refused.

    The pauses are 0.05 s at most, then up to twice as long each. Each is shortened by a random part
    (jitter), because callers that collided once would otherwise collide again. There is no attempt
    after a pause that would pass the deadline, so that the caller gives up at once.
    """
    yield
    max_pause_s = _FIRST_PAUSE_S
    while True:
        pause_s = random.uniform(max_pause_s / 2, max_pause_s)  # noqa: S311 -- no secret
        if time.monotonic() + pause_s > deadline:
            return
        time.sleep(pause_s)
        yield
        max_pause_s *= 2
