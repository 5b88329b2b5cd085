"""Lead requests to the issuers of Cognito's tokens to the embedded AWS, in a function's process.

Functions that verify tokens fetch the keys from `https://cognito-idp.REGION.amazonaws.com/POOL/…`
with whatever client they like, not with botocore. So this changes what all of them use: the look-up
of names, and the TLS around a socket. Clients that speak TLS by other means, such as aiohttp, fail.

`bootstrap.py` runs this script, isolated, if the template has a user pool.
"""

import re
import socket
import ssl
from typing import Any

_ISSUER = re.compile(r"cognito-idp\.[a-z0-9-]+\.amazonaws\.com")


def redirect_issuers(host: str, port: str) -> None:
    """Make requests to issuers go to this host and port, without TLS."""
    address = host, port
    look_up, wrap = socket.getaddrinfo, ssl.SSLContext.wrap_socket

    def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if _is_issuer(host):
            host, port = address
        return look_up(host, port, *args, **more)

    def wrap_socket(self: ssl.SSLContext, sock: socket.socket, *args: Any, **more: Any) -> Any:
        if _is_issuer(more.get("server_hostname")):
            return sock
        return wrap(self, sock, *args, **more)

    socket.getaddrinfo = getaddrinfo
    ssl.SSLContext.wrap_socket = wrap_socket  # type: ignore[method-assign]


def _is_issuer(name: Any) -> bool:
    text = name.decode() if isinstance(name, bytes) else name
    return isinstance(text, str) and _ISSUER.fullmatch(text) is not None
