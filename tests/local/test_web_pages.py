"""What the browser of a developer sends for pages of other sites, and what others send."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from local.server.web_pages import Allowed, problem_of_sender
from tests.support.backend import ROOT
from tests.support.raw_http import HANDSHAKE, status_of
from tests.support.runner import LocalRunner, local_runner

ROOMS = ROOT / "tests/local/templates/rooms.yaml"
VITE = "http://localhost:5173"


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    with local_runner("--allow-origin", VITE, "--allow-origin", "null", template=ROOMS) as run:
        yield run


def port_of(run: LocalRunner) -> int:
    port = urlsplit(run.url).port
    assert port
    return port


def both(run: LocalRunner, headers: dict[str, str]) -> tuple[int, int]:
    """Return the statuses of a handshake and of plain HTTP to the stage."""
    return status_of(run.url, HANDSHAKE | headers), status_of(run.url, headers)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "10.0.0.1", ""]
)
def test_host_of_another_name_is_refused_and_reported(run: LocalRunner, host: str) -> None:
    headers = {"Host": host.format(port=port_of(run))}
    assert both(run, headers) == (403, 403)
    assert "is not this machine" in run.wait_for("request refused with 403: Host")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_host_of_this_machine_is_accepted(run: LocalRunner, host: str) -> None:
    assert both(run, {"Host": f"{host}:{port_of(run)}"}) == (101, 426)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://localhost:{port}",
        "http://localhost:1",
        "http://localhost:5173.evil.example",
        "http://127.0.0.1.evil.example:{port}",
        "http://127.0.0.1:{port}@evil.example",
        "http://localhost:x",
        "file://",
        "",
    ],
)
def test_origin_of_another_site_is_refused_and_reported(run: LocalRunner, origin: str) -> None:
    headers = {"Origin": origin.format(port=port_of(run))}
    assert both(run, headers) == (403, 403)
    assert "start with --allow-origin" in run.wait_for("request refused with 403: a page")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_own_origin_is_accepted_at_every_name_of_this_machine(run: LocalRunner, name: str) -> None:
    assert both(run, {"Origin": f"http://{name}:{port_of(run)}"}) == (101, 426)


@pytest.mark.parametrize("origin", [VITE, "null"])
def test_origin_of_the_option_is_accepted(run: LocalRunner, origin: str) -> None:
    assert both(run, {"Origin": origin}) == (101, 426)


def test_second_origin_is_checked_too() -> None:
    host = (b"Host", b"127.0.0.1:3001")
    origins = [(b"Origin", b"http://127.0.0.1:3001"), (b"origin", b"http://evil.example")]
    assert problem_of_sender([host, origins[0]], Allowed()) is None
    assert problem_of_sender([host, *origins], Allowed()) is not None


def test_reported_line_has_no_control_characters_of_the_client() -> None:
    host = (b"host", b"127.0.0.1")
    escape = b"http://x\x1b[2J"
    problem = problem_of_sender([host, (b"origin", escape)], Allowed())
    assert problem == "a page of another site sent it: if it is yours, start with --allow-origin"


def test_page_of_another_site_cannot_ask_for_permission_to_sign(run: LocalRunner) -> None:
    asked = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    for path in ("/2015-03-31/functions/any/invocations", "/prod/@connections/AAAAAAAAAAAAAAA="):
        for headers in (asked, asked | {"Origin": VITE}):
            answer = httpx.options(f"{run.origin}{path}", headers=headers)
            assert answer.status_code in {403, 405}
            assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("headers", [{}, {"Origin": VITE}], ids=["no origin", "allowed origin"])
def test_invocation_without_a_signature_is_403(run: LocalRunner, headers: dict[str, str]) -> None:
    url = f"{run.origin}/2015-03-31/functions/any/invocations"
    answer = httpx.post(url, json={"requestContext": {"authorizer": {"userId": "bob"}}})
    assert (answer.status_code, answer.json()) == (403, {"message": "Missing Authentication Token"})
    assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    signed = httpx.post(url, headers=headers | {"Authorization": "AWS4-HMAC-SHA256"}, json={})
    assert signed.status_code == 404
