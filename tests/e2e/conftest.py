"""A running backend: the one at ``CHAT_URL``, or else ``python -m local`` on a free port."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.support.runner import NO_LAG, Target, local_runner


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    if url := os.environ.get("CHAT_URL"):
        yield Target(url, None)
        return
    with local_runner(*NO_LAG) as target:
        yield target


@pytest.fixture
def chat_url(target: Target) -> str:
    return target.url


@dataclass(frozen=True)
class Pair:
    """Two users that nobody else is: the backend may have others."""

    first: str
    second: str

    @property
    def chat_id(self) -> str:
        return "#".join(sorted((self.first, self.second)))


@pytest.fixture
def pair() -> Pair:
    mark = uuid4().hex[:12]
    return Pair(f"user123-{mark}", f"user456-{mark}")
