"""A clock for tests of code that sleeps."""

import time


class Clock:
    """Time that passes at once where the code sleeps, so that hundreds of tests can wait 2 s.

    Attributes:
        slept_s: For how long the code has slept, in seconds.
    """

    def __init__(self) -> None:
        self.slept_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self.slept_s

    def time(self) -> float:
        return time.time() + self.slept_s
