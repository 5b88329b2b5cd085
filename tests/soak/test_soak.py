"""The short form of ``make soak``."""

from tests.runner import running_backend
from tests.soak.soak import soak


async def test_nothing_is_lost() -> None:
    with running_backend() as target:
        report = await soak(target.url, pairs=5, messages=30)
    print(report)
    assert report.sent == report.acknowledged == report.received == 300
    assert report.cuts > 10
    assert report.lost == 0
