"""An issuer that is slow, or whose answers are huge, holds up a function or fills its memory."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import issuer as issuer_module
from issuer import MAX_ANSWER_BYTES, Issuer, IssuerUnreachable
from tests.attacks.attacked import AttackedBackend
from tests.support.issuer import AUDIENCE, rsa_key
from tests.support.runner import local_runner

OK = b"HTTP/1.1 200 OK\r\n"
MIB = 1024 * 1024
LOOPBACK = IPv4Address("127.0.0.1")

type Send = Callable[[bytes], None]
type Answer = Callable[[Send], None]
type Wrap = Callable[[socket.socket], socket.socket]


class Server:
    """A server that answers each request as a test says, whatever that does to the client.

    Attributes:
        sent: How many bytes the clients have taken.
        connections: How many there were.
    """

    def __init__(self, answer: Answer, wrap: Wrap) -> None:
        self._answer = answer
        self._wrap = wrap
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

        with suppress(OSError):  # the client has left
            connection = self._wrap(connection)
            connection.recv(65536)
            self._answer(send)
        connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def serving(answer: Answer, wrap: Wrap = lambda plain: plain) -> Iterator[Server]:
    server = Server(answer, wrap)
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


def test_addresses_that_do_not_answer_take_no_longer_than_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each for the timeout of one would take longer than this test may."""
    monkeypatch.setattr(issuer_module, "FETCH_TIMEOUT_S", 2.0)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        found = (socket.AF_INET, socket.SOCK_STREAM, 0, "", address)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [found] * 300)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        with pytest.raises(IssuerUnreachable, match="Timeout"):
            Issuer("http://issuer.example").key("x")
        for each in waiting:
            each.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that only those trust who are told to, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


def over_tls(certificate: tuple[Path, Path]) -> Callable[[socket.socket], socket.socket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return lambda connection: context.wrap_socket(connection, server_side=True)


def test_keys_are_fetched_over_https_from_a_trusted_issuer_only(
    monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path]
) -> None:
    key = rsa_key()
    body = json.dumps({"keys": [key.listed]}).encode()

    def answer(send: Send) -> None:
        send(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    with serving(answer, over_tls(certificate)) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(IssuerUnreachable, match="CertVerification"):
            Issuer(url, f"{url}/keys").key(key.id)
        assert server.sent == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        found = Issuer(url, f"{url}/keys").key(key.id)
    assert found is not None
    assert found.public == key.private.public_key()


def test_issuer_that_drips_its_tls_handshake_is_left_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The beginning of a record of the greatest length, of which each byte comes."""
    monkeypatch.setattr(issuer_module, "FETCH_TIMEOUT_S", 1.0)

    def answer(send: Send) -> None:
        drip(send, b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + b"\x03" * 1000, 0.1)

    with serving(answer) as server, pytest.raises(IssuerUnreachable):
        Issuer(server.url.replace("http:", "https:")).key("x")
    assert server.sent < 100


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
