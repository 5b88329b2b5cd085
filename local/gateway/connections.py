"""The connections of an API, from the start of their handshake to their end."""

import base64
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

# Connection and request ids are sixteen characters of URL-safe base64, as in
# https://github.com/aws-powertools/powertools-lambda-python/tree/develop/tests/events
_ID = re.compile(r"[A-Za-z0-9_-]{15}=")


class Socket(Protocol):
    """The client's end, as the gateway sees it."""

    def send(self, text: str) -> bool:
        """Take a message for the client; `False` if the client's buffer is full."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code; what is still to be sent goes first."""
        ...


@dataclass(slots=True)
class Connection:
    """A client's connection. Times are in milliseconds since 1970.

    `socket` is `None` while the handshake is pending. `closed_by_us` is the code and the reason
    that the gateway closed it with, if it did.
    """

    id: str
    connected_at: int
    source_ip: str
    user_agent: str | None = None
    host: str = ""
    authorizer: dict[str, Any] | None = None
    socket: Socket | None = None
    last_active_at: int = 0
    closed_by_us: tuple[int, str] | None = field(default=None)

    def close(self, code: int, reason: str) -> None:
        """Close from this side, and remember how, for the `$disconnect` event."""
        if self.socket is not None and self.closed_by_us is None:
            self.closed_by_us = (code, reason)
            self.socket.close(code, reason)


def now() -> int:
    """Return the time as events have it: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Make up an id for a connection or a request."""
    return base64.urlsafe_b64encode(secrets.token_bytes(11)).decode()


def is_well_formed(connection_id: str) -> bool:
    """Tell whether this could be the id of a connection."""
    return _ID.fullmatch(connection_id) is not None
