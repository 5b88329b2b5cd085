"""The network between the page and the backend, in a test's hands."""

import json
from collections.abc import Callable
from typing import Any

from playwright.async_api import Page, WebSocketRoute


class Network:
    """Passes frames on, both ways, until it is told otherwise.

    Attributes:
        is_down: Whether new connections fail.
        is_lost: Says which of the backend's frames get lost.
        sent: The frames of the page, in order, keep-alives included.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.is_lost: Callable[[dict[str, Any]], bool] = lambda _: False
        self.sent: list[dict[str, Any]] = []
        self._ends: list[tuple[WebSocketRoute, WebSocketRoute]] = []

    async def carry(self, page: Page, url: str) -> None:
        """Stand between this page and the backend from its next connection on."""
        await page.route_web_socket(lambda asked: asked.startswith(url), self._connect)

    async def cut(self) -> None:
        """Break all connections."""
        ends, self._ends = self._ends, []
        for here, there in ends:
            await here.close(code=1001)
            await there.close()

    async def _connect(self, here: WebSocketRoute) -> None:
        if self.is_down:
            await here.close(code=1001)
            return
        there = here.connect_to_server()
        self._ends.append((here, there))
        here.on_message(lambda data: self._up(there, data))
        there.on_message(lambda data: self._down(here, data))

    def _up(self, there: WebSocketRoute, data: str | bytes) -> None:
        self.sent.append(json.loads(data))
        there.send(data)

    def _down(self, here: WebSocketRoute, data: str | bytes) -> None:
        if not self.is_lost(json.loads(data)):
            here.send(data)
