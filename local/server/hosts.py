"""Which `Host` headers name this machine, so that no web page reaches it under a name of its own.

A page can let its own domain name point to 127.0.0.1 (DNS rebinding); the browser then lets it read
every answer, and sends the page's own name in `Host`.
"""

import ipaddress
import socket

LOOPBACK_ADDRESS = "127.0.0.1"
LOOPBACK = frozenset({LOOPBACK_ADDRESS, "localhost", "::1"})
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- compared, not bound


def names_of(host: str) -> frozenset[str]:
    """Return the names that this machine has in addition to `LOOPBACK`, with `--host`.

    Args:
        host: The value of the option.

    """
    if host in EVERY_ADDRESS:
        # The last is Docker's name for the machine of a container.
        return frozenset({host, socket.gethostname().lower(), "host.docker.internal"})
    return frozenset({host.lower()}) - LOOPBACK


def host_for_links(host: str) -> str:
    """Return the name or address that clients find in links to files.

    A link is for clients on any machine: a message with a file goes to both users of a chat. So it
    names this machine by one address that all of them reach, whichever each has used itself.

    Args:
        host: The value of `--host`.

    """
    if host in LOOPBACK:
        return LOOPBACK_ADDRESS
    if host not in EVERY_ADDRESS:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # No packet is sent: the system only chooses the address that it would send from.
            probe.connect(("192.0.2.1", 9))
        except OSError:  # no network
            return LOOPBACK_ADDRESS
        address: str = probe.getsockname()[0]
        return address


def is_ours(host_header: str, allowed: frozenset[str]) -> bool:
    """Return whether a request with this `Host` header was meant for this machine.

    `bucket.localhost` counts as `localhost`, as a bucket's name in front of each allowed name does.

    Args:
        host_header: The value of the header, with or without a port.
        allowed: Names and addresses in addition to `LOOPBACK`, in lower case. With one of
            `EVERY_ADDRESS`, every IP address is allowed: no domain name can pretend to be one.

    """
    name = _without_port(host_header)
    if _is_address(name):
        return name in LOOPBACK | allowed or not allowed.isdisjoint(EVERY_ADDRESS)
    return name in LOOPBACK | allowed or bucket_in(host_header, allowed) is not None


def bucket_in(host_header: str, allowed: frozenset[str]) -> str | None:
    """Return the bucket in front of one of our names, or `None` if the name is not of that form."""
    name = _without_port(host_header)
    for each in sorted(LOOPBACK | allowed, key=len, reverse=True):
        if name.endswith(f".{each}") and not _is_address(each):
            return name.removesuffix(f".{each}") or None
    return None


def _without_port(host_header: str) -> str:
    host = host_header.strip().lower()
    if host.startswith("["):  # an IPv6 address
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
