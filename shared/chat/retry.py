"""When to try again: pauses that grow, with jitter, until a deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

_FIRST_S = 0.05


def deadline_in(timeout_s: float) -> float:
    """Return the moment in so many seconds, on `time.monotonic`'s clock."""
    return time.monotonic() + timeout_s


def is_over(deadline: float) -> bool:
    """Return whether a deadline has passed."""
    return time.monotonic() > deadline


def backoff_s(deadline: float) -> Iterator[float]:
    """Yield the pauses between attempts, in seconds: 0.05 at most, then up to twice as long each.

    Each pause is shortened by a random part (jitter), because callers that collided once would
    otherwise collide again. It ends where the next pause would pass the deadline, so that the
    caller gives up at once.

    Args:
        deadline: On `time.monotonic`'s clock.
    """
    longest = _FIRST_S
    while True:
        pause = random.uniform(longest / 2, longest)  # noqa: S311 -- no secret
        if time.monotonic() + pause > deadline:
            return
        yield pause
        longest *= 2
