"""Stand-ins, asserted by their state."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


class ManagementApi:
    """API Gateway's ``@connections``, over real HTTP: moto's accepts every connection id.

    Attributes:
        open: The connections that exist. A post to any other is answered 410.
        broken: Statuses to answer with in place of 200, by connection.
        leaves_after: How many posts a connection takes before it is gone.
        fails_after: How many posts a connection takes before two fail.
        gates: Posts to these connections wait for the event.
        attempts: How many posts came for each connection.
        closed: The connections that were closed, in order.
        concurrent: The most posts that were under way at once.
    """

    def __init__(self) -> None:
        self.url = ""
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self.open: set[str] = set()
        self.broken: dict[str, int] = {}
        self.leaves_after: dict[str, int] = {}
        self.fails_after: dict[str, int] = {}
        self.gates: dict[str, threading.Event | threading.Barrier] = {}
        self.attempts: dict[str, int] = defaultdict(int)
        self.closed: list[str] = []
        self._received: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def received(self, connection_id: str) -> list[dict[str, Any]]:
        """List the frames that reached a connection."""
        return self._received[connection_id]

    def messages(self, connection_id: str) -> list[dict[str, Any]]:
        """List the messages that reached a connection, live or in a catch-up, without ``type``."""
        found: list[dict[str, Any]] = []
        for frame in list(self.received(connection_id)):
            if frame["type"] == "message":
                found.append({name: value for name, value in frame.items() if name != "type"})
            elif frame["type"] == "messages":
                found += frame["messages"]
        return found

    def post(self, connection_id: str, data: bytes) -> int:
        with self._lock:
            self.attempts[connection_id] += 1
        if gate := self.gates.get(connection_id):
            gate.wait(10)
        if status := self.broken.get(connection_id):
            return status
        taken = len(self._received[connection_id])
        if taken == self.leaves_after.get(connection_id):
            return 410
        if taken == self.fails_after.get(connection_id):
            if self.attempts[connection_id] == taken + 2:
                del self.fails_after[connection_id]
            return 500
        if connection_id not in self.open:
            return 410
        with self._lock:
            self._received[connection_id].append(json.loads(data))
        return 200

    def delete(self, connection_id: str) -> int:
        if status := self.broken.get(connection_id):
            return status
        if connection_id not in self.open:
            return 410
        self.open.remove(connection_id)
        self.closed.append(connection_id)
        return 204


_ERRORS = {
    403: "ForbiddenException",
    410: "GoneException",
    413: "PayloadTooLargeException",
    429: "LimitExceededException",
}


@contextmanager
def management_api() -> Iterator[ManagementApi]:
    """Serve a `ManagementApi` on a free port."""
    api = ManagementApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(api.post(self._connection_id(), data))

        def do_DELETE(self) -> None:
            self._answer(api.delete(self._connection_id()))

        def _connection_id(self) -> str:
            return unquote(self.path.rpartition("/")[2])

        def _answer(self, status: int) -> None:
            self.send_response(status)
            if status in _ERRORS:
                self.send_header("x-amzn-ErrorType", _ERRORS[status])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}/prod"
    yield api
    server.shutdown()
    server.server_close()
    thread.join()
