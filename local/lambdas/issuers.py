"""Lead requests to the issuers of Cognito's tokens to the embedded AWS, in a function's process.

Functions that verify tokens fetch the keys from `https://cognito-idp.REGION.amazonaws.com/POOL/…`
with whatever client they like, not with botocore. So this changes what all of them use: the look-up
of names, and the TLS around a socket, or around the buffers of asyncio. Clients that speak TLS by
other means than Python's `ssl` fail, and so do those on anyio, such as `httpx.AsyncClient`: they
take only the address from the look-up, and not the port.

`bootstrap.py` runs this script, isolated, if the template has a user pool.
"""

import os
import re
import socket
import ssl
from typing import Any

_ISSUER = re.compile(r"cognito-idp\.[a-z0-9-]+\.amazonaws\.com")


class _WithoutTls:
    """What stands between the buffers of asyncio in place of TLS: see `ssl.SSLObject`."""

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def do_handshake(self) -> None:
        """Do nothing."""

    def read(self, size: int = 1024, buffer: Any = None) -> Any:
        """Return what has arrived, or write it to the buffer and return its length."""
        if not self._incoming.pending and not self._incoming.eof:
            raise ssl.SSLWantReadError
        data = self._incoming.read(size)
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        """Send data."""
        return self._outgoing.write(data)

    def pending(self) -> int:
        """Return how many bytes have arrived."""
        return self._incoming.pending

    def __getattr__(self, _name: str) -> Any:
        # A certificate, a cipher, a protocol of the application: there is none of these.
        return lambda *_, **_more: None


def install() -> None:
    """Make requests to issuers go to the host and port in `LOCAL_ISSUERS`, without TLS."""
    address = os.environ.pop("LOCAL_ISSUERS").split(":")
    look_up, wrap, wrap_bio = (
        socket.getaddrinfo,
        ssl.SSLContext.wrap_socket,
        ssl.SSLContext.wrap_bio,
    )

    def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if _is_issuer(host):
            host, port = address
        return look_up(host, port, *args, **more)

    def wrap_socket(self: ssl.SSLContext, sock: socket.socket, *args: Any, **more: Any) -> Any:
        if _is_issuer(more.get("server_hostname")):
            return sock
        return wrap(self, sock, *args, **more)

    def wrap_buffers(
        self: ssl.SSLContext,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: Any = None,
        session: Any = None,
    ) -> Any:
        if _is_issuer(server_hostname):
            return _WithoutTls(incoming, outgoing)
        return wrap_bio(self, incoming, outgoing, server_side, server_hostname, session)

    socket.getaddrinfo = getaddrinfo
    ssl.SSLContext.wrap_socket = wrap_socket  # type: ignore[method-assign]
    ssl.SSLContext.wrap_bio = wrap_buffers  # type: ignore[method-assign]


def _is_issuer(name: Any) -> bool:
    text = name.decode() if isinstance(name, bytes) else name
    return isinstance(text, str) and _ISSUER.fullmatch(text) is not None
