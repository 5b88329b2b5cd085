"""Throttling by token buckets, as API Gateway does it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-protect.html
"""

from local.template.model import Throttle


class TokenBucket:
    """Admits `burst` requests at once, and `rate` a second in the long run.

    Args:
        limits: The rate and the burst; `None` admits every request.
        now: The time in seconds, by the same clock as in calls of `take`.

    """

    def __init__(self, limits: Throttle | None, now: float) -> None:
        self._limits = limits
        self._tokens = float(limits.burst) if limits else 0.0
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Take a token for one request; return `False` if there is none."""
        if self._limits is None:
            return True
        gained = (now - self._filled_at) * self._limits.rate
        self._tokens = min(float(self._limits.burst), self._tokens + gained)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
