"""Start `python -m local` as a person would, and stop it."""

import contextlib
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Run:
    """A run, and what it has printed so far."""

    process: subprocess.Popen[str]
    url: str = ""
    aws: str = ""
    lines: list[str] = field(default_factory=list)
    arriving: "queue.Queue[str | None]" = field(default_factory=queue.Queue)

    @property
    def http(self) -> str:
        return self.url.replace("ws://", "http://", 1)

    @property
    def origin(self) -> str:
        return self.http.rpartition("/")[0]

    def wait_for(self, text: str, timeout: float = 60) -> str:
        """Return the next line that holds the text."""
        while True:
            line = self.arriving.get(timeout=timeout)
            if line is None:
                raise AssertionError(f"ended without {text!r}: {self.lines}")
            if text in line:
                return line


@contextlib.contextmanager
def running(template: Path | str, *flags: str, reload: bool = False) -> Iterator[Run]:
    """Run a template on a free port until the block ends; expect a clean end."""
    command = [sys.executable, "-m", "local", "--template", str(template), "--port", "0", *flags]
    with subprocess.Popen(
        command if reload else [*command, "--no-reload"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        run = Run(process)
        reader = threading.Thread(target=_read, args=(run,))
        reader.start()
        try:
            run.url = run.wait_for("Ready: ").removeprefix("Ready: ")
            run.aws = run.wait_for("AWS endpoint: ").removeprefix("AWS endpoint: ")
            yield run
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=20) == 0
        finally:
            process.kill()
            reader.join()


def _read(run: Run) -> None:
    assert run.process.stdout is not None
    for line in run.process.stdout:
        run.lines.append(line.rstrip())
        run.arriving.put(line.rstrip())
    run.arriving.put(None)
