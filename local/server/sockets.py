"""The gateway's ends of HTTP and WebSocket connections: uvicorn's, with API Gateway's limits."""

import asyncio
from typing import Any

import h11
from starlette.websockets import WebSocket
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.server import ServerProtocol

from local.gateway.limits import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES

# How many characters may wait for a client that does not read. The size of AWS's buffer is not
# documented.
BUFFER_SIZE = 1024 * 1024


class HttpProtocol(H11Protocol):
    """HTTP that leaves the names of a handshake's headers as the client wrote them, as AWS does."""

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Pass on the headers as they came."""
        self.headers = list(event.headers.raw_items())
        super().handle_websocket_upgrade(event)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket with API Gateway's limits on messages and frames, and without compression.

    A message or a frame that is larger closes the connection with 1009:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = ServerProtocol(
            max_size=(MAX_MESSAGE_BYTES, MAX_FRAME_BYTES), logger=self.logger
        )

    async def send(self, message: Any) -> None:
        """Send; and count a refused handshake as complete, so that uvicorn finds no fault in it."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True


class Outbox:
    """What is on its way to one client, in the order in which it was sent."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str | tuple[int, str]] = asyncio.Queue()
        self._waiting_size = 0

    def send(self, text: str) -> bool:
        """Take a message, unless too much waits already."""
        size = len(text)
        if self._waiting_size + size > BUFFER_SIZE:
            return False
        self._waiting_size += size
        self._queue.put_nowait(text)
        return True

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection once all that waits is sent."""
        self._queue.put_nowait((code, reason))

    async def write_to(self, websocket: WebSocket) -> None:
        """Send what comes, until the connection is to be closed."""
        while True:
            item = await self._queue.get()
            if isinstance(item, tuple):
                await websocket.close(*item)
                return
            await websocket.send_text(item)
            self._waiting_size -= len(item)
