"""A running backend: the one at ``CHAT_URL``, or else ``python -m local`` on a free port."""

import os
from collections.abc import Iterator

import pytest

from tests.support.runner import NO_LAG, Target, local_runner
from tests.support.users import Pair


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


@pytest.fixture
def pair() -> Pair:
    return Pair.new()
