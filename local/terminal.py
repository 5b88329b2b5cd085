"""Print lines for the developer at the terminal."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

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
    remarks = [f"Warning: {warning}" for warning in stack.warnings]
    remarks += [
        f"Not imitated: {notice}" for notice in _merged((*stack.notices, *stack.role_notices))
    ]
    for remark, count in Counter(remarks).items():
        print_line(remark if count == 1 else f"{remark} ({count} times)")


def _merged(notices: Iterable[str]) -> Iterator[str]:
    """Yield the notices, in one line those that say the same of several resources."""
    by_text: dict[str, list[str]] = {}
    for notice in notices:
        name, colon, text = notice.partition(": ")
        by_text.setdefault(text if colon else notice, []).append(name)
    for text, names in by_text.items():
        different = list(dict.fromkeys(names))
        if different == [text]:
            yield from names
        elif len(different) == 1:
            yield from [f"{different[0]}: {text}"] * len(names)
        else:
            more = f" and {len(different) - 3} more" if len(different) > 3 else ""
            yield f"{', '.join(different[:3])}{more}: {text}"


def print_warning(line: str) -> None:
    """Print what would go wrong on AWS without a word."""
    print_line(f"Warning: {line}")


def print_import_errors(errors: Mapping[str, str], warnings: Iterable[str]) -> None:
    """Print the errors of functions that cannot be imported, unless a warning is about them."""
    named = {warning.partition(":")[0] for warning in warnings}
    for name, error in errors.items():
        if name not in named:
            print_warning(error)


def print_open(host: str) -> None:
    """Print what `--host` opens to other machines."""
    print_warning(
        f"--host {host}: every device in your network can connect to the API, and load the page."
        " In the open mode it can connect as any user. Your firewall decides who else can"
    )


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
