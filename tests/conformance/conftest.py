"""The URLs of the two APIs: on AWS if `CHAT_URL` is set, otherwise on this machine.

    CHAT_URL=wss://….amazonaws.com/test CHAT_URL_GUARDED=wss://….amazonaws.com/guarded \\
        pytest tests/conformance
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runner import local_runner

TEMPLATE = Path(__file__).with_name("template.yaml")


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    if "CHAT_URL" in os.environ:
        yield os.environ["CHAT_URL"]
        return
    with local_runner("--api", "Api", template=TEMPLATE) as run:
        yield run.url


@pytest.fixture(scope="session")
def guarded_url() -> Iterator[str]:
    if "CHAT_URL" in os.environ:
        if "CHAT_URL_GUARDED" not in os.environ:
            pytest.skip("needs CHAT_URL_GUARDED")
        yield os.environ["CHAT_URL_GUARDED"]
        return
    with local_runner("--api", "GuardedApi", template=TEMPLATE) as run:
        yield run.url
