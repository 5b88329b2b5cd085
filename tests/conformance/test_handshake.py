"""The handshake of a connection.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html
"""

import json

import pytest
from websockets.typing import Subprotocol

from tests.conformance.client import ask, local_only, opening, refused_status


async def test_connection_opens_after_connect_has_returned(url: str) -> None:
    # "until the execution of the integration is completed, the upgrade request is pending" (above).
    async with opening(url, sleep=0.5) as client:
        seen = await ask(client, recall=True)
    assert seen["requestContext"]["routeKey"] == "$connect"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
async def test_status_of_connect_refuses_the_handshake(url: str, status: int) -> None:
    # 400: websocket-connect-route-subprotocol, in the developer guide; others: architect/sandbox.
    assert await refused_status(url, status=status) == status


@pytest.mark.parametrize("status", [200, 201, 299])
async def test_2xx_status_of_connect_accepts_the_handshake(url: str, status: int) -> None:
    async with opening(url, status=status) as client:
        assert (await ask(client))["requestContext"]["eventType"] == "MESSAGE"


async def test_exception_in_connect_refuses_with_502(url: str) -> None:
    # serverless-websockets-plugin#13;
    # https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
    assert await refused_status(url, **{"raise": "on purpose"}) == 502


@pytest.mark.parametrize(
    "result", [None, "text", {}, {"statusCode": "fine"}, {"body": "no status"}], ids=str
)
async def test_malformed_result_of_connect_refuses_with_502(url: str, result: object) -> None:
    # The same two sources.
    assert await refused_status(url, result=json.dumps(result)) == 502


@local_only  # elsewhere in API Gateway it is 504; for WebSocket APIs nothing says so
async def test_integration_timeout_of_connect_refuses_with_504(url: str) -> None:
    assert await refused_status(url, sleep=3) == 504


async def test_subprotocol_that_connect_returns_is_chosen(url: str) -> None:
    # chalice#1768: of the response, only this header reaches the client.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-connect-route-subprotocol.html
    offered = [Subprotocol("chat.v1"), Subprotocol("chat.v2")]
    async with opening(url, offered, subprotocol="chat.v2") as client:
        assert client.subprotocol == "chat.v2"


async def test_no_subprotocol_is_chosen_if_connect_returns_none(url: str) -> None:
    # react-use-websocket#168: so a browser that offers one gives up.
    async with opening(url, [Subprotocol("chat.v1")]) as client:
        assert client.subprotocol is None


async def test_post_to_a_pending_connection_is_410(url: str) -> None:
    # https://repost.aws/knowledge-center/410-gone-api-gateway
    async with opening(url, post=True) as client:
        assert (await ask(client))["requestContext"]["eventType"] == "MESSAGE"


async def test_handshake_at_an_unknown_stage_is_403(url: str) -> None:
    # aws-sdk-php#1955, seen with @connections.
    assert await refused_status(f"{url}-unknown") == 403
