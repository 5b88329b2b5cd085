"""Start ``python -m local`` on a free port, and stop it."""

import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.backend import ROOT

NO_LAG = ("--index-lag", "0")
"""For tests that expect what was missed before `synced`, and in order."""
PAGE = ("--page", "page")
"""For tests that open the page."""
_START_TIMEOUT_S = 60
_REFUSED = ("its role does not allow it", "its role denies it")
_STOP_TIMEOUT_S = 20


@dataclass(frozen=True)
class Target:
    """Where a backend is.

    Attributes:
        url: Of the WebSocket API, stage included.
        aws_endpoint: Of the embedded DynamoDB and S3; none where the backend is a deployed one.
        page: The page that it serves; none where it serves none.
    """

    url: str
    aws_endpoint: str | None = None
    page: str | None = None


@dataclass(frozen=True, kw_only=True)
class LocalRunner(Target):
    """A local runner, and what it has printed so far."""

    aws_endpoint: str
    process: subprocess.Popen[str]
    output: "Output"

    @property
    def http_url(self) -> str:
        return self.url.replace("ws://", "http://", 1)

    @property
    def origin(self) -> str:
        return self.http_url.rpartition("/")[0]

    @property
    def lines(self) -> list[str]:
        return self.output.lines

    def wait_for(self, text: str) -> str:
        """Return the next line that holds the text."""
        return self.output.wait_for(text)


@dataclass
class Output:
    """The lines that a process prints; a thread reads them, so that the process never blocks."""

    lines: list[str] = field(default_factory=list)
    _unread: "queue.SimpleQueue[str | None]" = field(default_factory=queue.SimpleQueue)

    def read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip())
            self._unread.put(line.rstrip())
        self._unread.put(None)

    def wait_for(self, text: str) -> str:
        """Return the next line that holds the text.

        Raises:
            AssertionError: The process ended without it.
        """
        while (line := self._unread.get(timeout=_START_TIMEOUT_S)) is not None:
            if text in line:
                return line
        raise AssertionError(f"ended without {text!r}: {self.lines}")


@contextmanager
def local_runner(
    *options: str,
    template: Path = ROOT / "template-python.yaml",
    reload: bool = False,
    expects_refusals: bool = False,
) -> Iterator[LocalRunner]:
    """Run a template until the block ends; expect that the runner then exits with 0.

    Expect too that the roles of its functions allowed every call.

    Args:
        options: Further options of ``python -m local``.
        template: The template to run.
        reload: Whether edits take effect while it runs.
        expects_refusals: Whether functions may call what their roles do not allow.
    """
    command = [sys.executable, "-m", "local", "--template", str(template), "--port", "0", *options]
    with subprocess.Popen(
        command if reload else [*command, "--no-reload"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        output = Output()
        reader = threading.Thread(target=output.read, args=(process,))
        reader.start()
        try:
            url = output.wait_for("Ready: ").removeprefix("Ready: ")
            aws_endpoint = output.wait_for("AWS endpoint: ").removeprefix("AWS endpoint: ")
            pages = [line for line in output.lines if line.startswith("Page: ")]
            page = pages[0].removeprefix("Page: ") if pages else None
            yield LocalRunner(
                url=url, aws_endpoint=aws_endpoint, page=page, process=process, output=output
            )
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                assert process.wait(_STOP_TIMEOUT_S) == 0, output.lines[-20:]
        finally:
            process.kill()
            reader.join()
    refused = [line for line in output.lines if line.endswith(_REFUSED)]
    assert expects_refusals or not refused, refused[:5]
