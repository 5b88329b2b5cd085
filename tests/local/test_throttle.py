from local.gateway.throttle import TokenBucket
from local.template.model import Throttle


def test_token_bucket_admits_the_burst_and_then_the_rate() -> None:
    bucket = TokenBucket(Throttle(rate=2, burst=3), now=100)
    assert [bucket.take(100) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.5) for _ in range(2)] == [True, False]


def test_token_bucket_holds_at_most_the_burst() -> None:
    bucket = TokenBucket(Throttle(rate=2, burst=3), now=0)
    assert [bucket.take(1000) for _ in range(4)] == [True, True, True, False]


def test_token_bucket_without_limits_admits_everything() -> None:
    bucket = TokenBucket(None, now=0)
    assert all(bucket.take(0) for _ in range(1000))
