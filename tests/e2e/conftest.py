"""A running backend: the one at ``CHAT_URL``, or else ``python -m local`` on a free port."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.backend import ROOT


@dataclass(frozen=True)
class Target:
    """Where the backend is.

    Attributes:
        url: Of the WebSocket API, stage included.
        aws_endpoint: Of the embedded DynamoDB and S3; none where the backend is a deployed one.
    """

    url: str
    aws_endpoint: str | None


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    if url := os.environ.get("CHAT_URL"):
        yield Target(url, None)
        return
    command = [sys.executable, "-m", "local", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        said = {}
        for line in runner.stdout:
            what, _, value = line.strip().partition(": ")
            said[what] = value
            if "AWS endpoint" in said:
                break
        # Nobody may stop reading, or the runner would one day wait for it.
        reader = threading.Thread(target=runner.stdout.read)
        reader.start()
        try:
            yield Target(said["Ready"], said["AWS endpoint"])
        finally:
            runner.terminate()
            assert runner.wait(20) == 0
            reader.join()


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
