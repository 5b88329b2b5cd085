"""Limits on frames and messages.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""

import json

from tests.conformance.client import close_code, local_only, opening, receive

FRAME = 32 * 1024
MESSAGE = 128 * 1024


def frames(size: int) -> list[str]:
    """Make a message of this size, in frames as large as may be."""
    empty = len(json.dumps({"action": "answer", "padding": ""}))
    message = json.dumps({"action": "answer", "padding": "x" * (size - empty)})
    return [message[start : start + FRAME] for start in range(0, size, FRAME)]


async def test_message_of_128_kib_in_frames_of_32_kib_is_accepted(url: str) -> None:
    async with opening(url) as client:
        await client.send(frames(MESSAGE))
        assert await receive(client) == MESSAGE


async def test_message_over_128_kib_closes_with_1009(url: str) -> None:
    async with opening(url) as client:
        await client.send(frames(MESSAGE + 1))
        assert await close_code(client) == 1009


async def test_frame_over_32_kib_closes_with_1009(url: str) -> None:
    async with opening(url) as client:
        await client.send("x" * (FRAME + 1))
        assert await close_code(client) == 1009


async def test_binary_frame_closes_with_1003(url: str) -> None:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-routes.html
    async with opening(url) as client:
        await client.send(b"\x00")
        assert await close_code(client) == 1003


@local_only  # that AWS agrees on none is experience, not documentation
async def test_compression_is_not_negotiated(url: str) -> None:
    async with opening(url) as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers
