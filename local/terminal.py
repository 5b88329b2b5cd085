"""Print lines for the developer at the terminal."""

import sys
from collections.abc import Iterable

from local.template.model import Stack


def print_line(line: str) -> None:
    """Print a line at once, also into a pipe."""
    # A function may log characters that the terminal's encoding does not have.
    encoding = sys.stdout.encoding
    print(line.encode(encoding, "replace").decode(encoding), flush=True)


def print_log_line(function: str, line: str) -> None:
    """Print a line of a function's log."""
    print_line(f"[{function}] {line}")


def print_remarks(stack: Stack) -> None:
    """Print the mistakes in the template, and the parts of it that are not imitated."""
    for warning in stack.warnings:
        print_line(f"Warning: {warning}")
    for notice in stack.notices:
        print_line(f"Not imitated: {notice}")


def print_urls(url: str, aws: str, page: str | None, queries: Iterable[str]) -> None:
    """Print all URLs, and a command to try the API with each query string."""
    if page:
        print_line(f"Page: {page}")
    print_line(f"Ready: {url}")
    print_line(f"AWS endpoint: {aws}")
    print_line("\nTry it in another terminal:")
    for query in queries or [""]:
        print_line(f'  npx wscat -c "{url}{query}"')
    print_line("")


def print_reloaded(names: Iterable[str], errors: Iterable[str]) -> None:
    """Print what was reloaded after an edit, and the errors."""
    print_line(f"Reloaded: {', '.join(sorted(names))}")
    for error in errors:
        print_line(f"Error: {error}")
