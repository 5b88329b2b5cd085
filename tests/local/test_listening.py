"""The addresses that the runner listens on, with and without `--host`."""

import errno
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from local.errors import LocalError
from local.listening import listening
from tests.local.test_command import fails_with
from tests.support.backend import ROOT
from tests.support.raw_http import HANDSHAKE, status_of
from tests.support.runner import LocalRunner, local_runner

pytestmark = pytest.mark.slow

ROOMS = ROOT / "tests/local/templates/rooms.yaml"


EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 -- what the test is about


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


LOOPBACK = ["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"]


def with_host(run: LocalRunner, host: str) -> str:
    where = urlsplit(run.url)
    name = f"[{host}]" if ":" in host else host
    return where._replace(netloc=f"{name}:{where.port}").geturl()


@pytest.fixture(scope="module")
def opened() -> Iterator[LocalRunner]:
    with local_runner("--host", EVERY_ADDRESS, "--page", "page", template=ROOMS) as run:
        yield run


def test_runner_listens_on_both_loopback_addresses_and_no_other() -> None:
    with local_runner(template=ROOMS) as run:
        assert urlsplit(run.url).hostname == "127.0.0.1"
        for host in (*LOOPBACK, "localhost"):
            assert status_of(with_host(run, host)) == 101
        assert not any("--host" in line for line in run.lines)
    with listening("127.0.0.1", 0) as sockets:
        assert [each.getsockname()[0] for each in sockets] == LOOPBACK
        assert len({each.getsockname()[1] for each in sockets}) == 1


@pytest.mark.parametrize("code", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_machine_without_ipv6_is_no_error(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    create = socket.create_server

    def without_ipv6(address: tuple[str, int], *, family: int, backlog: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(code, "no IPv6")
        return create(address, family=family, backlog=backlog)

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    with listening("127.0.0.1", 0) as sockets:
        assert [each.getsockname()[0] for each in sockets] == ["127.0.0.1"]
    with pytest.raises(LocalError, match="--host"), listening("::", 0):
        pass


@pytest.mark.parametrize("address", LOOPBACK)
def test_port_in_use_on_one_loopback_address_is_an_error(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as taken:
        port = taken.getsockname()[1]
        in_use = pytest.raises(LocalError, match=f"port {port} is in use")
        with in_use, listening("localhost", port):
            pass


def test_host_option_opens_the_runner_and_prints_a_reachable_address(opened: LocalRunner) -> None:
    host = urlsplit(opened.url).hostname
    assert host
    assert host not in {"127.0.0.1", EVERY_ADDRESS, "localhost"}
    assert opened.page == f"http://{urlsplit(opened.url).netloc}/"
    for each in (host, *LOOPBACK):
        assert status_of(with_host(opened, each)) == 101
        origin = with_host(opened, each).replace("ws://", "http://").removesuffix("/live")
        assert status_of(with_host(opened, each), HANDSHAKE | {"Origin": origin}) == 101


def test_host_option_prints_a_warning_before_the_addresses(opened: LocalRunner) -> None:
    (warning,) = (line for line in opened.lines if line.startswith("Warning: --host 0.0.0.0"))
    assert "every device in your network can connect" in warning
    page = next(line for line in opened.lines if line.startswith("Page: "))
    assert opened.lines.index(warning) < opened.lines.index(page)


def test_open_runner_still_refuses_pages_of_other_sites(opened: LocalRunner) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert status_of(opened.url, HANDSHAKE | headers) == 403


def test_apis_of_functions_are_closed_to_other_machines(opened: LocalRunner) -> None:
    """A connection to this machine's own address in the network comes from that address."""
    signed = {"Authorization": "AWS4-HMAC-SHA256"}
    for path in ("/2015-03-31/functions/any/invocations", "/live/@connections/AAAAAAAAAAAAAAA="):
        assert httpx.post(f"{opened.origin}{path}", headers=signed).status_code == 403
        port = urlsplit(opened.url).port
        here = httpx.post(f"http://127.0.0.1:{port}{path}", headers=signed)
        assert here.status_code in {404, 410}


def test_host_that_is_not_of_this_machine_is_a_one_line_error() -> None:
    for host in ("192.0.2.1", "no.such.name.invalid"):
        arguments = ("--template", ROOMS, "--port", 0, "--host", host)
        fails_with("is no address of this machine", *arguments)


def test_origin_with_a_path_is_a_one_line_error() -> None:
    arguments = ("--template", ROOMS, "--port", 0, "--allow-origin", "http://localhost:5173/")
    fails_with("--allow-origin takes an origin without a path", *arguments)
