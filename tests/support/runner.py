"""The backend on this machine, for as long as a test needs it."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.backend import ROOT

NO_LAG = ("--index-lag", "0")
"""For tests that expect what was missed before `synced`, and in order."""


@dataclass(frozen=True)
class Target:
    """Where a backend is.

    Attributes:
        url: Of the WebSocket API, stage included.
        aws_endpoint: Of the embedded DynamoDB and S3; none where the backend is a deployed one.
        page: The chat client that it serves; none where the backend is a deployed one.
    """

    url: str
    aws_endpoint: str | None
    page: str | None = None


@contextmanager
def running_backend(*options: str) -> Iterator[Target]:
    """Run ``python -m local`` on a free port."""
    command = [sys.executable, "-m", "local", "--port", "0", "--page", "page", *options]
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
            yield Target(said["Ready"], said["AWS endpoint"], said["Page"])
        finally:
            runner.terminate()
            assert runner.wait(20) == 0
            reader.join()
