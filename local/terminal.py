"""What the person at the terminal reads."""

import sys
from collections.abc import Iterable

from local.template.model import Stack


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    # A function may log what the terminal's encoding has no letters for.
    encoding = sys.stdout.encoding
    print(line.encode(encoding, "replace").decode(encoding), flush=True)


def log(function: str, line: str) -> None:
    """Print a line that a function wrote."""
    say(f"[{function}] {line}")


def say_remarks(stack: Stack) -> None:
    """Print what is wrong with the template, and what of it does not run here."""
    for warning in stack.warnings:
        say(f"Warning: {warning}")
    for notice in stack.notices:
        say(f"Not imitated: {notice}")


def say_ready(url: str, aws: str, page: str | None, queries: Iterable[str]) -> None:
    """Print where everything is, and how to try it: a command for each query string."""
    if page:
        say(f"Page: {page}")
    say(f"Ready: {url}")
    say(f"AWS endpoint: {aws}")
    say("\nTry it in another terminal:")
    for query in queries or [""]:
        say(f'  npx wscat -c "{url}{query}"')
    say("")


def say_reloaded(names: Iterable[str], errors: Iterable[str]) -> None:
    """Print what an edit has led to."""
    say(f"Reloaded: {', '.join(sorted(names))}")
    for error in errors:
        say(f"Error: {error}")
