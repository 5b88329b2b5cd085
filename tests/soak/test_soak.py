"""The short form of ``make soak``."""

from tests.soak.soak import UNKIND, soak
from tests.support.runner import local_runner


async def test_nothing_is_lost() -> None:
    """Takes over ten seconds: a write takes up to half of one, and a catch-up looks again."""
    with local_runner(*UNKIND) as target:
        report = await soak(target.url, pairs=8, messages=12)
    print(report)
    assert report.sent == report.acknowledged == report.received == 192
    assert report.cuts > 10
    assert report.lost == 0
