"""A network between the page and the backend that a test can break."""

import json
from collections.abc import Callable
from typing import Any

from playwright.async_api import Page, WebSocketRoute


class Network:
    """Passes frames on in both directions.

    Attributes:
        is_down: Whether new connections fail.
        drops: Returns whether a frame of the backend is lost.
        holds: Returns whether a frame of the backend waits for `release`.
        sent: The frames of the page, in order, `getmessages` included.
        received: The frames of the backend, in order, those that are lost included.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.drops: Callable[[dict[str, Any]], bool] = lambda _: False
        self.holds: Callable[[dict[str, Any]], bool] = lambda _: False
        self.sent: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []
        self._connections: list[tuple[WebSocketRoute, WebSocketRoute]] = []
        self._held: list[tuple[WebSocketRoute, str | bytes]] = []

    async def intercept(self, page: Page, url: str) -> None:
        """Intercept the connections that this page opens from now on."""
        await page.route_web_socket(lambda requested: requested.startswith(url), self._connect)

    async def break_connections(self) -> None:
        """Close all connections on both ends."""
        connections, self._connections = self._connections, []
        for page_end, backend_end in connections:
            await page_end.close(code=1001)
            await backend_end.close()

    def release(self) -> None:
        """Pass on what is held, and hold nothing any more."""
        self.holds = lambda _: False
        held, self._held = self._held, []
        for page_end, data in held:
            page_end.send(data)

    async def _connect(self, page_end: WebSocketRoute) -> None:
        if self.is_down:
            await page_end.close(code=1001)
            return
        backend_end = page_end.connect_to_server()
        self._connections.append((page_end, backend_end))
        page_end.on_message(lambda data: self._to_backend(backend_end, data))
        backend_end.on_message(lambda data: self._to_page(page_end, data))

    def _to_backend(self, backend_end: WebSocketRoute, data: str | bytes) -> None:
        self.sent.append(json.loads(data))
        backend_end.send(data)

    def _to_page(self, page_end: WebSocketRoute, data: str | bytes) -> None:
        frame = json.loads(data)
        self.received.append(frame)
        if self.holds(frame):
            self._held.append((page_end, data))
        elif not self.drops(frame):
            page_end.send(data)
