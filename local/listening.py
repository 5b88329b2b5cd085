"""The sockets that the runner listens on, and the names by which clients reach them."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from local.errors import LocalError
from local.server.hosts import EVERY_ADDRESS, LOOPBACK

LOOPBACK_ADDRESS = "127.0.0.1"
_IPV6_LOOPBACK = "::1"
# Documentation addresses: no packet is sent to them.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
# What a machine without IPv6 answers too.
_NO_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
# How containers call the machine that they run on.
_NAMES_IN_CONTAINERS = {"host.docker.internal", "host.containers.internal"}


@contextmanager
def listening(host: str, port: int, *, option: str = "--port") -> Iterator[list[socket.socket]]:
    """Listen on a port of the host, and on the same port of this machine's loopback addresses.

    Browsers try `[::1]` first for `localhost`. Where a machine has no IPv6, it is left out.

    Args:
        host: An address or a name of this machine; `0.0.0.0` for all of its IPv4 addresses.
        port: The port; 0 for a free one.
        option: The option that the port is from.

    Raises:
        LocalError: If the port is in use or not allowed, or the host is not this machine's.

    """
    with ExitStack() as opened:
        try:
            addresses = _addresses(host)
            sockets = _listen_on_all(addresses, port)
            # A port that is free on one address may be in use on another.
            while sockets is None and port == 0:
                sockets = _listen_on_all(addresses, port)
        except OverflowError:
            raise LocalError(f"there is no port {port}: choose one from 1 to 65535") from None
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno in _NO_ADDRESS:
                problem = f"{host} is no address of this machine: choose another with --host"
            else:
                problem = f"port {port} is not allowed: choose another with {option}"
            raise LocalError(problem) from error
        if sockets is None:
            raise LocalError(f"port {port} is in use: choose another with {option}")
        for listener in sockets:
            opened.enter_context(listener)
        yield sockets


def reachable_host(host: str) -> str:
    """Return the host for the URLs that are printed: for all addresses, one that others reach."""
    if host in LOOPBACK:
        return LOOPBACK_ADDRESS
    if host not in EVERY_ADDRESS:
        return f"[{host}]" if ":" in host else host
    for family, elsewhere in _ELSEWHERE:
        with socket.socket(family, socket.SOCK_DGRAM) as route:
            try:
                route.connect((elsewhere, 9))
            except OSError:
                continue
            address: str = route.getsockname()[0]
            return f"[{address}]" if ":" in address else address
    return LOOPBACK_ADDRESS


def allowed_hosts(host: str) -> frozenset[str]:
    """Return the names in `Host` that lead here, in addition to the loopback addresses."""
    if host in LOOPBACK:
        return frozenset()
    if host not in EVERY_ADDRESS:
        return frozenset({host.lower()})
    name = socket.gethostname().lower()
    return frozenset({host, name, f"{name}.local", *_NAMES_IN_CONTAINERS})


def _addresses(host: str) -> list[str]:
    """Return the addresses to listen on."""
    if host in LOOPBACK:
        return [LOOPBACK_ADDRESS, _IPV6_LOOPBACK]
    addresses = [host] if host in EVERY_ADDRESS else [_resolve(host)]
    # All IPv4 addresses include this one.
    if host != "0.0.0.0":  # noqa: S104 -- compared, not bound
        addresses.append(LOOPBACK_ADDRESS)
    if host != "::":
        addresses.append(_IPV6_LOOPBACK)
    return list(dict.fromkeys(addresses))


def _resolve(host: str) -> str:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


def _listen_on_all(addresses: list[str], port: int) -> list[socket.socket] | None:
    """Return a socket for each address, all on one port; `None` if the port is in use on one."""
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                listener = socket.create_server((address, port), family=family, backlog=1024)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return None
                if address == _IPV6_LOOPBACK and sockets and error.errno in _NO_ADDRESS:
                    continue
                raise
            sockets.append(opened.enter_context(listener))
            port = listener.getsockname()[1]
        opened.pop_all()
        return sockets
