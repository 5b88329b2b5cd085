"""Each request is answered and each refusal reported, also of what no client library sends."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.backend import ROOT
from tests.support.device import TIMEOUT_S
from tests.support.raw_http import HANDSHAKE, exchange, status_of
from tests.support.runner import LocalRunner, local_runner

ROOMS = ROOT / "tests/local/templates/rooms.yaml"
SECRET = "5ecre7"


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    with local_runner(template=ROOMS) as run:
        yield run
        printed = "\n".join(run.lines)
        assert SECRET not in printed
        assert "Traceback" not in printed


def url_of_length(run: LocalRunner, length: int) -> str:
    url = f"{run.url}?token={SECRET}"
    return url + "x" * (length - len(url))


def with_head_of(run: LocalRunner, size: int) -> dict[str, str]:
    """Return headers of a handshake whose request line and values have this size in bytes."""
    where = urlsplit(run.url)
    rest = [f"GET {where.path} HTTP/1.1", where.netloc, *HANDSHAKE.values()]
    missing = size - sum(map(len, rest)) - len(SECRET)
    first = missing // 2
    return {**HANDSHAKE, "Cookie": "c" * first, "X-Other": SECRET + "c" * (missing - first)}


def test_url_of_4096_characters_is_accepted_and_a_longer_one_is_414(run: LocalRunner) -> None:
    assert status_of(url_of_length(run, 4096)) == 101
    assert status_of(url_of_length(run, 4097)) == 414
    assert "its URL has 4,097 characters" in run.wait_for("request refused with 414: ")


@pytest.mark.parametrize("length", [9_000, 20_000, 100_000, 4_000_000])
def test_url_of_any_greater_length_is_414(run: LocalRunner, length: int) -> None:
    assert status_of(url_of_length(run, length)) == 414
    run.wait_for("request refused with 414: its URL ")


def test_head_of_10240_bytes_is_accepted_and_a_larger_one_is_431(run: LocalRunner) -> None:
    assert status_of(run.url, with_head_of(run, 10_240)) == 101
    assert status_of(run.url, with_head_of(run, 10_241)) == 431
    assert "have 10,241 bytes" in run.wait_for("request refused with 431: ")


@pytest.mark.parametrize("size", [8_200, 9_000, 20_000, 100_000, 4_000_000])
def test_large_header_is_431(run: LocalRunner, size: int) -> None:
    assert status_of(run.url, {**HANDSHAKE, "Cookie": SECRET + "c" * size}) == 431
    assert "large cookies" in run.wait_for("request refused with 431: ")


def test_more_than_128_headers_are_431(run: LocalRunner) -> None:
    others = {f"X-{number}": SECRET for number in range(123)}
    assert len(HANDSHAKE | others) + len(["Host"]) == 128
    assert status_of(run.url, HANDSHAKE | others) == 101
    assert status_of(run.url, HANDSHAKE | others | {"Cookie": SECRET}) == 431
    assert "over 128 headers" in run.wait_for("request refused with 431: ")


@pytest.mark.parametrize(
    ("changed", "method", "status"),
    [
        ({"Sec-WebSocket-Version": "12"}, "GET", 400),
        ({"Sec-WebSocket-Key": SECRET}, "GET", 400),
        ({}, "POST", 405),
        ({"No colon": SECRET}, "GET", 400),
    ],
    ids=str,
)
def test_malformed_handshake_is_refused_and_reported(
    run: LocalRunner, changed: dict[str, str], method: str, status: int
) -> None:
    assert status_of(run.url, HANDSHAKE | changed, method) == status
    assert "valid" in run.wait_for(f"request refused with {status}: it is not ")


def test_handshake_at_another_path_is_reported_with_the_stage(run: LocalRunner) -> None:
    assert status_of(f"{run.url}-other?token={SECRET}") == 403
    assert "/live, the stage" in run.wait_for("handshake refused with 403: its path is not ")


@pytest.mark.parametrize("sent", [b"\r\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_not_http_is_400(run: LocalRunner, sent: bytes) -> None:
    assert exchange(run.url, sent).startswith(b"HTTP/1.1 400 ")
    run.wait_for("request refused with 400: it is not valid HTTP")


def test_tls_is_reported_as_such(run: LocalRunner) -> None:
    assert exchange(run.url, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    run.wait_for("request refused with 400: it is TLS: connect to ws:// or http://")


@pytest.mark.parametrize("parts", [[b"\xff"], [SECRET.encode() + b"\xc3", b"rest"]])
def test_text_that_is_not_utf_8_closes_with_1007(run: LocalRunner, parts: list[bytes]) -> None:
    """The fixture checks that no traceback was printed."""
    with connect(run.url) as client:
        client.send(parts, text=True)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(TIMEOUT_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007


def test_close_reason_that_is_not_utf_8_closes_with_1007(run: LocalRunner) -> None:
    with connect(run.url) as client:
        masked = b"\x88\x83\x00\x00\x00\x00\x03\xe8\xff"
        client.socket.sendall(masked)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(TIMEOUT_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007
