"""An issuer that is slow, or whose answers are huge, holds up a function or fills its memory."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

import issuer as issuer_module
from issuer import MAX_ANSWER_BYTES, Issuer, IssuerUnreachable
from tests.attacks.attacked import AttackedBackend
from tests.support.issuer import AUDIENCE
from tests.support.runner import local_runner

OK = b"HTTP/1.1 200 OK\r\n"
MIB = 1024 * 1024

type Send = Callable[[bytes], None]
type Answer = Callable[[Send], None]


class Server:
    """A server that answers each request as a test says, whatever that does to the client.

    Attributes:
        sent: How many bytes the clients have taken.
        connections: How many there were.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.sent = 0
        self.connections = 0
        self._threads: list[threading.Thread] = []

    def serve(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,))
                thread.start()
                self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        def send(data: bytes) -> None:
            connection.sendall(data)
            self.sent += len(data)

        with connection, suppress(OSError):  # the client has left
            connection.recv(65536)
            self._answer(send)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    server = Server(answer)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def drip(send: Send, data: bytes, pause_s: float) -> None:
    for byte in data:
        send(bytes([byte]))
        time.sleep(pause_s)


def slow_headers(send: Send) -> None:
    send(OK)
    drip(send, b"X-Padding: " + b"x" * 1000, 0.1)


def slow_body(send: Send) -> None:
    send(OK + b"Content-Length: 1000\r\n\r\n")
    drip(send, b" " * 1000, 0.1)


def slow_chunks(send: Send) -> None:
    send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(1000):
        send(b"1\r\n \r\n")
        time.sleep(0.1)


def huge_body(send: Send) -> None:
    send(OK + b"Content-Length: %d\r\n\r\n" % (300 * MIB))
    for _ in range(300):
        send(b" " * MIB)


def huge_body_of_unknown_length(send: Send) -> None:
    send(OK + b"Connection: close\r\n\r\n")
    for _ in range(300):
        send(b" " * MIB)


def huge_chunks(send: Send) -> None:
    send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(300):
        send(b"%x\r\n" % MIB + b" " * MIB + b"\r\n")


@pytest.mark.parametrize("answer", [slow_headers, slow_body, slow_chunks])
def test_slow_issuer_is_left_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(issuer_module, "FETCH_TIMEOUT_S", 1.0)
    with serving(answer) as server, pytest.raises(IssuerUnreachable):
        Issuer(server.url).key("x")
    # Of a thousand, one in a tenth of a second.
    assert server.sent < 200
    assert not [each for each in threading.enumerate() if isinstance(each, threading.Timer)]


@pytest.mark.parametrize("answer", [huge_body, huge_body_of_unknown_length, huge_chunks])
def test_huge_answer_of_an_issuer_is_not_read_to_its_end(answer: Answer) -> None:
    with serving(answer) as server, pytest.raises(IssuerUnreachable, match="too large"):
        Issuer(server.url).key("x")
    # What sockets buffer is taken by nobody.
    assert server.sent < 50 * MAX_ANSWER_BYTES


def test_one_deadline_holds_for_both_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_module, "FETCH_TIMEOUT_S", 1.0)

    def answer(send: Send) -> None:
        if server.connections == 2:
            slow_body(send)
        time.sleep(0.5)
        found = b'{"issuer": "%s", "jwks_uri": "%s/keys"}' % ((server.url.encode(),) * 2)
        send(OK + b"Content-Length: %d\r\n\r\n" % len(found) + found)

    with serving(answer) as server, pytest.raises(IssuerUnreachable):
        Issuer(server.url).key("x")
    assert server.connections == 2
    assert server.sent < 250


def test_handshake_is_refused_while_the_issuer_is_slow() -> None:
    """A byte each half second would hold it for longer than its timeout, which gives 502 or 504."""

    def answer(send: Send) -> None:
        send(OK + b"Content-Length: 1000\r\n\r\n")
        drip(send, b" " * 1000, 0.5)

    with serving(answer) as server:
        parameters = [f"JwtIssuer={server.url}", f"JwtAudience={AUDIENCE}"]
        with local_runner("--parameter-overrides", *parameters) as runner:
            backend = AttackedBackend(runner.url, None)
            token = "eyJhbGciOiJSUzI1NiJ9.e30.AA"
            assert backend.refused_status(token=token) == 500
            assert server.sent < 100
