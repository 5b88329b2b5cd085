"""The route of a frame.

https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-routes.html
"""

import json

import pytest

from tests.conformance.client import ask, local_only, opening, receive


async def test_selection_expression_matches_the_exact_route_key(url: str) -> None:
    async with opening(url) as client:
        assert (await ask(client, "answer"))["requestContext"]["routeKey"] == "answer"
        assert (await ask(client, "Answer"))["message"] == "Forbidden"


async def test_number_selects_the_route_with_its_text_as_key(url: str) -> None:
    async with opening(url) as client:
        await client.send('{"action": 7}')
        assert (await receive(client))["requestContext"]["routeKey"] == "7"


@pytest.mark.parametrize("frame", ['{"action": "nowhere"}', "{}", "not JSON", "[]", ""])
async def test_frame_without_a_route_is_forbidden_if_there_is_no_default(
    url: str, frame: str
) -> None:
    # simple-websockets-chat-app#24.
    async with opening(url) as client:
        await client.send(frame)
        error = await receive(client)
        assert set(error) == {"message", "connectionId", "requestId"}
        assert error["message"] == "Forbidden"
        # The connection stays open, and the id is the client's own.
        context = (await ask(client))["requestContext"]
        assert context["connectionId"] == error["connectionId"]


@local_only  # AWS documents no limit
async def test_frame_that_is_nested_too_deeply_is_forbidden(url: str) -> None:
    async with opening(url) as client:
        await client.send('{"action":"answer","nested":' + "[" * 10_000 + "]" * 10_000 + "}")
        assert (await receive(client))["message"] == "Forbidden"
        assert await ask(client)


@pytest.mark.parametrize("frame", ['{"action": "nowhere"}', "{}", "not JSON", "[]", ""])
async def test_frame_without_a_route_goes_to_default(guarded_url: str, frame: str) -> None:
    # "non-JSON input is directed to $default" (above); an empty frame too:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html
    async with opening(guarded_url, token="allow") as client:
        await client.send(frame)
        event = await receive(client)
    assert event["requestContext"]["routeKey"] == "$default"
    assert event["body"] == frame


async def test_frames_of_one_connection_are_handled_concurrently(url: str) -> None:
    # "responses are not necessarily in the order of the requests":
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html
    async with opening(url) as client:
        await client.send(json.dumps({"action": "answer", "sleep": 2, "name": "slow"}))
        await client.send(json.dumps({"action": "answer", "name": "quick"}))
        names = [json.loads((await receive(client))["body"])["name"] for _ in range(2)]
    assert names == ["quick", "slow"]
