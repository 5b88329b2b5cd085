"""Which of pytest-xdist's workers runs which test, and when."""

import re
from functools import cache
from pathlib import Path

# It has no type hints.
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.support.backend import ROOT

_SHARED = re.compile(r'\bscope="(?:module|package|session)"')


class SharedFixtureScheduling(LoadScopeScheduling):  # type: ignore[misc] # no type hints, as above
    """Keep tests that share a fixture on one worker, so that the fixture is made once.

    Such a fixture starts a local runner, a browser or an issuer, which takes seconds. All other
    tests run on whichever worker is free. (``--dist loadgroup`` should do this by marks, but
    pytest-xdist 3.8 sets `Item._nodeid` for that, which pytest 9.2 no longer reads.)
    """

    def schedule(self) -> None:
        """Begin the tests in the order of `tests/conftest.py`, not those of the largest modules."""
        self.config.option.loadscopereorder = False
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return _shared_by(path) or nodeid


@cache
def _shared_by(path: str) -> str | None:
    """Return the folder or the module that makes fixtures for several tests of a module."""
    module = ROOT / path
    if _makes_shared_fixtures(module.with_name("conftest.py")):
        return str(module.parent)
    return path if _makes_shared_fixtures(module) else None


def _makes_shared_fixtures(file: Path) -> bool:
    return file.exists() and _SHARED.search(file.read_text()) is not None
