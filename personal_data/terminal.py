"""What is printed: lines, questions and progress, all on standard error. Never a text of a user."""

import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)


def say(line: str) -> None:
    """Print a line."""
    print(line, file=sys.stderr, flush=True)


def ask(question: str) -> bool | None:
    """Ask to confirm; return the answer, or none where there is no terminal to ask on."""
    if not sys.stdin.isatty():
        return None
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def progress_bar() -> Progress:
    """Return a progress bar, to use as a context. Only terminals show it."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
