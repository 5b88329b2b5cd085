"""Limit the capacity that is used, so that the chat keeps what it needs."""

import time

_MAX_CREDIT_S = 1.0


class Rate:
    """A limit on units of capacity a second, read and write units together.

    DynamoDB says only afterwards what a call has used, so a single call may exceed the limit (a
    page of 1 MB is 128 units); the pause after it makes up for that.
    """

    def __init__(self, units_per_second: float) -> None:
        self.units_per_second = units_per_second
        self._paid_until = time.monotonic()

    def spend(self, units: float) -> None:
        """Wait until the units that were used so far are within the limit."""
        now = time.monotonic()
        # Time without calls counts for one second at most: a long one must not allow a burst.
        self._paid_until = max(self._paid_until, now - _MAX_CREDIT_S)
        self._paid_until += units / self.units_per_second
        if self._paid_until > now:
            time.sleep(self._paid_until - now)
