"""`@connections` over HTTP. AWS requires a signature, so these tests run on this machine only."""

from urllib.parse import quote

import httpx
import pytest

from tests.conformance.client import connection_id, local_only, opening, receive_text

pytestmark = local_only

# The runner does not verify it.
SIGNED = {"Authorization": "AWS4-HMAC-SHA256"}


def calling() -> httpx.AsyncClient:
    return httpx.AsyncClient(headers=SIGNED)


@pytest.fixture
def http(url: str) -> str:
    return url.replace("ws://", "http://", 1)


@pytest.mark.parametrize("marker", ["@connections", "%40connections"])
@pytest.mark.parametrize("quoted", [True, False])
async def test_connections_path_works_in_both_encodings(
    url: str, http: str, marker: str, quoted: bool
) -> None:
    # botocore escapes the id's "=", AWS's own example for awscurl the "@":
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
    async with opening(url) as client, calling() as caller:
        own_id = await connection_id(client)
        target = f"{http}/{marker}/{quote(own_id, safe='') if quoted else own_id}"
        answer = await caller.post(target, content="hello")
        assert (answer.status_code, answer.content) == (200, b"")
        assert await receive_text(client) == "hello"
        shown = await caller.get(target)
        assert shown.status_code == 200
        assert set(shown.json()) == {"connectedAt", "identity", "lastActiveAt"}
        assert shown.json()["connectedAt"].endswith("Z")
        deleted = await caller.delete(target)
        assert (deleted.status_code, deleted.content) == (204, b"")


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_connections_error_has_its_type_in_a_header(http: str, method: str) -> None:
    # Without it botocore raises a plain ClientError.
    async with calling() as caller:
        answer = await caller.request(method, f"{http}/@connections/AAAAAAAAAAAAAAA=")
    assert answer.status_code == 410
    assert answer.headers["x-amzn-ErrorType"] == "GoneException"


async def test_post_to_a_client_that_does_not_read_is_429(url: str, http: str) -> None:
    # Botocore's model documents 429 for a full "client side buffer", but not the buffer's size.
    async with opening(url) as client, calling() as caller:
        target = f"{http}/@connections/{await connection_id(client)}"
        client.transport.pause_reading()
        for _ in range(200):
            answer = await caller.post(target, content=b"x" * 128 * 1024)
            if answer.status_code != 200:
                break
        assert answer.status_code == 429
        assert answer.headers["x-amzn-ErrorType"] == "LimitExceededException"
        client.transport.abort()


async def test_connections_path_without_the_stage_is_403(http: str) -> None:
    # aws-sdk-php#1955.
    host = http.rpartition("/")[0]
    async with calling() as caller:
        for path in ("@connections/AAAAAAAAAAAAAAA=", "other/@connections/AAAAAAAAAAAAAAA="):
            answer = await caller.post(f"{host}/{path}")
            assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})
            assert answer.headers["x-amzn-ErrorType"] == "ForbiddenException"


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_connections_call_without_a_signature_is_403(http: str, method: str) -> None:
    async with httpx.AsyncClient() as caller:
        answer = await caller.request(method, f"{http}/@connections/AAAAAAAAAAAAAAA=")
    assert (answer.status_code, answer.json()) == (403, {"message": "Missing Authentication Token"})
    assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"


async def test_plain_http_to_the_stage_is_426(http: str) -> None:
    async with calling() as caller:
        assert (await caller.get(http)).status_code == 426
