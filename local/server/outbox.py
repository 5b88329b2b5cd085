"""The messages that wait for one client, in the order in which they were sent."""

import asyncio

from starlette.websockets import WebSocket

# How many characters may wait for a client that does not read. The size of AWS's buffer is not
# documented.
MAX_WAITING_CHARACTERS = 1024 * 1024


class Outbox:
    """Sends messages to one client, in their order."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str | tuple[int, str]] = asyncio.Queue()
        self._waiting_size = 0

    def send(self, text: str) -> bool:
        """Queue a message; return `False` if too much waits already."""
        size = len(text)
        if self._waiting_size + size > MAX_WAITING_CHARACTERS:
            return False
        self._waiting_size += size
        self._queue.put_nowait(text)
        return True

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection after all queued messages."""
        self._queue.put_nowait((code, reason))

    async def write_to(self, websocket: WebSocket) -> None:
        """Send queued messages until the connection is closed."""
        while True:
            item = await self._queue.get()
            if isinstance(item, tuple):
                await websocket.close(*item)
                return
            await websocket.send_text(item)
            self._waiting_size -= len(item)
