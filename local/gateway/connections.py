"""The connections of an API, from the start of the handshake to the end."""

import base64
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

# Connection and request ids are sixteen characters of URL-safe base64, as in
# https://github.com/aws-powertools/powertools-lambda-python/tree/develop/tests/events
_ID = re.compile(r"[A-Za-z0-9_-]{15}=")


class ClientSocket(Protocol):
    """A way to send to one client, which the server implements."""

    def send(self, text: str) -> bool:
        """Queue a message for the client; return `False` if the client's buffer is full."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code, after all queued messages."""
        ...


@dataclass(slots=True)
class Connection:
    """A client's connection. Times are in milliseconds since 1970.

    `socket` is `None` while the handshake is pending. `closed_with` is the code and the reason of
    the gateway's close frame, and `None` if the gateway did not close it.
    """

    id: str
    connected_at_ms: int
    source_ip: str
    user_agent: str | None = None
    host: str = ""
    authorizer: dict[str, Any] | None = None
    socket: ClientSocket | None = None
    last_active_at_ms: int = 0
    closed_with: tuple[int, str] | None = field(default=None)

    def close(self, code: int, reason: str) -> None:
        """Close the connection, and store code and reason for the `$disconnect` event."""
        if self.socket is not None and self.closed_with is None:
            self.closed_with = (code, reason)
            self.socket.close(code, reason)


def now_ms() -> int:
    """Return the time in milliseconds since 1970, as events have it."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a new id for a connection or a request."""
    return base64.urlsafe_b64encode(secrets.token_bytes(11)).decode()


def is_well_formed(connection_id: str) -> bool:
    """Return whether a text has the form of a connection's id."""
    return _ID.fullmatch(connection_id) is not None
