"""Name the hosts that a function cannot reach, in the function's process: a line in its log.

The runner sees nothing of what a function asks other hosts than the embedded AWS, and the exception
often does not name the host: `APIConnectionError: Connection error.` So this changes what most
clients use, the look-up of names. Clients that look names up by other means are not seen.

`bootstrap.py` runs this script, isolated.
"""

import re
import socket
import sys
from typing import Any

_AWS = re.compile(r".+\.(amazonaws\.com(\.cn)?|api\.aws)")


def install() -> None:
    """Print a line for each host that has no address, and for each of AWS: it is not imitated."""
    look_up = socket.getaddrinfo
    named: set[str] = set()

    def report(host: str, line: str) -> None:
        if host not in named:
            named.add(host)
            print(line, file=sys.__stdout__, flush=True)

    def getaddrinfo(host: Any, *args: Any, **more: Any) -> Any:
        name = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
        if _AWS.fullmatch(name):
            report(name, f"Not imitated: the code calls {name}, a host of AWS")
        try:
            return look_up(host, *args, **more)
        except socket.gaierror as error:
            report(name, f"Warning: cannot reach {name}: {error.strerror}")
            raise

    socket.getaddrinfo = getaddrinfo
