"""Which `Host` headers name this machine, so that no web page reaches it under its own name.

A page can let its own domain name point to 127.0.0.1 (DNS rebinding); the browser then lets it read
every answer, and sends the page's own name in `Host`.
"""

import ipaddress

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- compared, not bound


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
