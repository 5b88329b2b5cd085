"""An embedded DynamoDB and S3: moto's server, in a process of its own.

Run as a script, `python -I moto_server.py FD`, on a listening socket that it inherits. It ends when
its standard input does, so that it never outlives the runner.
"""

import io
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.wsgi import get_input_stream

type StartResponse = Callable[..., Any]


class RequestHandler(MotoRequestHandler):
    """Keeps connections open between requests, and keeps quiet."""

    protocol_version = "HTTP/1.1"
    # Head and body of a response are written apart; the second would wait for the first's receipt.
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing about requests."""


class OneAtATime:
    """Lets one request after another into moto.

    DynamoDB's conditional writes are atomic; moto checks first and writes then.
    """

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, whose body is read before its turn comes."""
        body = get_input_stream(environ).read()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        with self._lock:
            return list(self._moto(environ, start_response))


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    server = make_server(
        "127.0.0.1", 0, OneAtATime(), threaded=True, request_handler=RequestHandler,
        fd=int(sys.argv[1]),
    )  # fmt: skip
    server.serve_forever()


if __name__ == "__main__":
    main()
