"""Refuse what a web page of another site makes the developer's browser send.

A browser lets every page send requests to this machine, and open WebSockets to it. `Host` tells
that a page of another name reads the answers, and `Origin` which page sent the request.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from local.server.hosts import LOOPBACK, is_ours

# What is safe to print in a terminal.
_PRINTABLE = re.compile(r"[A-Za-z0-9.:/\[\]_-]{1,100}")


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which names lead to this machine, and which pages may talk to it, besides those always may.

    Attributes:
        hosts: Names and addresses in `Host`: see `hosts.is_ours`.
        origins: Origins of pages, as `http://localhost:5173`; or `null`, that of a local file.

    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()


class WebPageGuard:
    """An ASGI application that passes on what no page of another site has sent.

    Clients other than browsers send no `Origin`, and pass.

    Args:
        application: The ASGI application behind it.
        allowed: What passes in addition.
        report: Called with a line for each refusal.

    """

    def __init__(
        self, application: ASGIApp, allowed: Allowed, report: Callable[[str], None]
    ) -> None:
        self._application = application
        self._allowed = allowed
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass the request on."""
        problem = problem_of_sender(scope["headers"], self._allowed)
        if problem is None:
            await self._application(scope, receive, send)
            return
        self._report(f"request refused with 403: {problem}")
        refusal = JSONResponse({"message": "Forbidden"}, 403)
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)


def problem_of_sender(headers: list[tuple[bytes, bytes]], allowed: Allowed) -> str | None:
    """Return why the headers of a request are refused, or `None`."""
    host = ",".join(_values(headers, b"host"))
    if not is_ours(host, allowed.hosts):
        return f"Host{_shown(host)} is not this machine: use 127.0.0.1, or see --host"
    for origin in _values(headers, b"origin"):
        if origin.lower() not in allowed.origins and not _is_own(origin, host):
            option = f"--allow-origin{_shown(origin)}"
            return f"a page of another site sent it: if it is yours, start with {option}"
    return None


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _is_own(origin: str, host: str) -> bool:
    """Return whether an origin is that of the page that the runner itself serves."""
    if origin.lower() == f"http://{host.lower()}":
        return True
    # The page may be open at one name of this machine, and connect to another.
    try:
        page, asked = urlsplit(origin), urlsplit(f"http://{host}")
        is_same_port = page.port == asked.port
    except ValueError:
        return False
    return page.scheme == "http" and {page.hostname, asked.hostname} <= LOOPBACK and is_same_port


def _shown(value: str) -> str:
    return f" {value}" if _PRINTABLE.fullmatch(value) else ""
