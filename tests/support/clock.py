"""A clock for tests of code that sleeps."""

import time


class Clock:
    """Time that passes at once where the code sleeps, so that hundreds of tests can wait 2 s.

    Args:
        is_still: Whether `monotonic` shows nothing but that, so that a run can be repeated exactly.

    Attributes:
        slept_s: For how long the code has slept, in seconds. A test may turn it back.
    """

    def __init__(self, *, is_still: bool = False) -> None:
        self.slept_s = 0.0
        self._is_still = is_still

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def monotonic(self) -> float:
        return self.slept_s + (0 if self._is_still else time.monotonic())

    def time(self) -> float:
        return self.slept_s + time.time()
