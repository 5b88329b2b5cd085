"""Limits on WebSocket frames and WebSocket messages.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.conformance.client import (
    ask,
    close_code,
    local_only,
    opening,
    receive,
    refused_status,
)

MAX_FRAME_BYTES = 32 * 1024
MAX_MESSAGE_BYTES = 128 * 1024


def websocket_frames(size: int) -> list[str]:
    """Return a WebSocket message of this size, divided into the largest WebSocket frames."""
    empty = len(json.dumps({"action": "answer", "padding": ""}))
    message = json.dumps({"action": "answer", "padding": "x" * (size - empty)})
    return [message[start : start + MAX_FRAME_BYTES] for start in range(0, size, MAX_FRAME_BYTES)]


async def test_websocket_message_of_128_kib_is_accepted(url: str) -> None:
    async with opening(url) as client:
        await client.send(websocket_frames(MAX_MESSAGE_BYTES))
        assert await receive(client) == MAX_MESSAGE_BYTES


async def test_websocket_message_over_128_kib_closes_with_1009(url: str) -> None:
    async with opening(url) as client:
        await client.send(websocket_frames(MAX_MESSAGE_BYTES + 1))
        assert await close_code(client) == 1009


async def test_websocket_frame_over_32_kib_closes_with_1009(url: str) -> None:
    async with opening(url) as client:
        await client.send("x" * (MAX_FRAME_BYTES + 1))
        assert await close_code(client) == 1009


async def test_url_over_4096_characters_is_refused(url: str) -> None:
    async with opening(f"{url}?padding={'x' * (4096 - len(url) - len('?padding='))}") as client:
        assert await ask(client)
    # AWS documents the limit, and not the status.
    assert await refused_status(url, padding="x" * 4096) in range(400, 500)


@local_only  # documented for HTTP APIs
async def test_headers_over_10240_bytes_are_refused(url: str) -> None:
    large = {f"X-Padding-{number}": "x" * 6000 for number in range(2)}
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(url, additional_headers=large):
            pass
    assert refusal.value.response.status_code == 431


async def test_text_that_is_not_utf_8_closes_with_1007(url: str) -> None:
    # https://www.rfc-editor.org/rfc/rfc6455#section-8.1
    async with opening(url) as client:
        await client.send(b"\xff", text=True)
        assert await close_code(client) == 1007


async def test_binary_websocket_message_closes_with_1003(url: str) -> None:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-routes.html
    async with opening(url) as client:
        await client.send(b"\x00")
        assert await close_code(client) == 1003


@local_only  # that AWS agrees on none is experience, not documentation
async def test_compression_is_not_negotiated(url: str) -> None:
    async with opening(url) as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers
