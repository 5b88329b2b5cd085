"""The frame that a client receives for a function's result.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html
"""

import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from tests.conformance.client import ask, local_only, opening, receive, receive_text


def assert_is_internal_server_error(frame: Any) -> None:
    # simple-websockets-chat-app#42, architect#1093, and the tests of serverless-offline.
    assert set(frame) == {"message", "connectionId", "requestId"}
    assert frame["message"] == "Internal server error"


async def assert_no_reply(client: ClientConnection, **asked: Any) -> None:
    """Send on the one-way route, and check that the next frame answers another request."""
    await client.send(json.dumps({"action": "silent", **asked}))
    assert (await ask(client, sleep=1))["requestContext"]["routeKey"] == "answer"


async def test_route_with_a_route_response_sends_the_body_as_a_frame(url: str) -> None:
    async with opening(url) as client:
        await client.send(
            json.dumps({"action": "answer", "result": {"statusCode": 200, "body": "hi"}})
        )
        assert await receive_text(client) == "hi"


async def test_route_without_a_route_response_sends_nothing(url: str) -> None:
    async with opening(url) as client:
        await assert_no_reply(client)


@pytest.mark.parametrize("status", [400, 500])
async def test_route_with_a_route_response_sends_the_body_for_any_status(
    url: str, status: int
) -> None:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-integration-responses.html
    async with opening(url) as client:
        assert await ask(client, result={"statusCode": status, "body": "[1]"}) == [1]


async def test_error_status_without_a_route_response_is_an_internal_server_error(url: str) -> None:
    # architect#1093.
    async with opening(url) as client:
        result = {"statusCode": 500, "body": "dropped"}
        assert_is_internal_server_error(await ask(client, "silent", result=result))


async def test_result_without_a_body_is_an_empty_frame(url: str) -> None:
    # serverless#6816.
    async with opening(url) as client:
        await client.send(json.dumps({"action": "answer", "result": {"statusCode": 200}}))
        assert await receive_text(client) == ""


@pytest.mark.parametrize("action", ["answer", "silent"])
async def test_exception_is_an_internal_server_error(url: str, action: str) -> None:
    async with opening(url) as client:
        assert_is_internal_server_error(await ask(client, action, **{"raise": "on purpose"}))
        assert (await ask(client))["requestContext"]["routeKey"] == "answer"


@pytest.mark.parametrize("action", ["answer", "silent"])
@pytest.mark.parametrize(
    "result",
    [
        None,
        "text",
        {"body": "no status"},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "", "more": "keys"},  # middy#1219
    ],
    ids=str,
)
async def test_malformed_result_is_an_internal_server_error(
    url: str, action: str, result: object
) -> None:
    async with opening(url) as client:
        assert_is_internal_server_error(await ask(client, action, result=result))


async def test_crash_fails_only_the_invocation_that_crashed(url: str) -> None:
    # https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    async with opening(url) as client:
        await client.send(json.dumps({"action": "answer", "sleep": 2}))
        assert_is_internal_server_error(await ask(client, exit=True))
        assert (await receive(client))["requestContext"]["routeKey"] == "answer"


@local_only  # what a timeout looks like to the client is not documented
async def test_function_timeout_is_an_internal_server_error(url: str) -> None:
    async with opening(url) as client:
        assert_is_internal_server_error(await ask(client, "shortlived", sleep=30))


@local_only  # the same
async def test_integration_timeout_is_an_internal_server_error(url: str) -> None:
    async with opening(url) as client:
        assert_is_internal_server_error(await ask(client, "hurried", sleep=2))
