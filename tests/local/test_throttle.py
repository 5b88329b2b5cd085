from local.gateway.throttle import TokenBucket
from local.template.model import Throttle


def test_a_burst_passes_and_then_the_rate() -> None:
    bucket = TokenBucket(Throttle(rate=2, burst=3), now=100)
    assert [bucket.take(100) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.5) for _ in range(2)] == [True, False]


def test_unused_tokens_add_up_to_the_burst_and_no_further() -> None:
    bucket = TokenBucket(Throttle(rate=2, burst=3), now=0)
    assert [bucket.take(1000) for _ in range(4)] == [True, True, True, False]


def test_without_limits_everything_passes() -> None:
    bucket = TokenBucket(None, now=0)
    assert all(bucket.take(0) for _ in range(1000))
