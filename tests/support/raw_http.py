"""HTTP over a raw socket: for requests that no library sends."""

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from tests.support.device import TIMEOUT_S

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def status_of(url: str, headers: Mapping[str, str] = HANDSHAKE, method: str = "GET") -> int:
    """Send a request without a body; return the status of the answer."""
    where = urlsplit(url)
    lines = {"Host": where.netloc, **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    target = f"{where.path}?{where.query}" if where.query else where.path
    answer = exchange(url, f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
    protocol, status, _ = answer.split(b" ", 2)
    assert protocol == b"HTTP/1.1"
    return int(status)


def exchange(url: str, sent: bytes) -> bytes:
    """Send bytes; return the first line of the answer."""
    where = urlsplit(url)
    assert where.hostname
    assert where.port
    with socket.create_connection((where.hostname, where.port), TIMEOUT_S) as raw:
        raw.sendall(sent)
        return raw.makefile("rb").readline()
