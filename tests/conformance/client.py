"""A WebSocket client of the functions in `functions/probe.py`."""

import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

TIMEOUT_S = 20

# For requests that AWS wants signed, and for what AWS does not document: there the local runner has
# to choose, and the tests only check its choice.
local_only = pytest.mark.skipif("CHAT_URL" in os.environ, reason="says nothing about AWS")


def opening(
    url: str, subprotocols: Sequence[Subprotocol] | None = None, /, **query: object
) -> connect:
    """Open a connection; the query string says what $connect does."""
    target = f"{url}?{urlencode(query, doseq=True)}" if query else url
    return connect(target, subprotocols=subprotocols, max_size=None, open_timeout=TIMEOUT_S)


async def ask(client: ClientConnection, action: str = "answer", /, **asked: Any) -> Any:
    """Send a frame and return the next one, read as JSON."""
    await client.send(json.dumps({"action": action, **asked}))
    return await receive(client)


async def receive(client: ClientConnection) -> Any:
    """Return the next frame, read as JSON."""
    return json.loads(await receive_text(client))


async def receive_text(client: ClientConnection) -> str:
    """Return the next frame as text."""
    frame = await asyncio.wait_for(client.recv(), TIMEOUT_S)
    assert isinstance(frame, str)
    return frame


async def connection_id(client: ClientConnection) -> str:
    """Return the client's own id."""
    event = await ask(client)
    return str(event["requestContext"]["connectionId"])


async def refused_status(url: str, **query: object) -> int:
    """Return the status that refuses the handshake."""
    with pytest.raises(InvalidStatus) as refusal:
        async with opening(url, **query):
            pass
    return refusal.value.response.status_code


async def close_code(client: ClientConnection) -> int | None:
    """Return the close code that API Gateway sends."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await receive_text(client)
    return client.close_code
