"""Uvicorn as the runner needs it: API Gateway's limits and header names, and no signal handlers."""

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from local.patches.versions import require_checked_version


def patched_config(
    application: Any, *, max_message_bytes: int, max_frame_bytes: int, **options: Any
) -> uvicorn.Config:
    """Return a configuration of uvicorn, with the patches of this module.

    Args:
        application: The ASGI application.
        max_message_bytes: The largest WebSocket message; a larger one closes with 1009.
        max_frame_bytes: The largest frame of a message, likewise.
        options: Other options of `uvicorn.Config`.

    Raises:
        LocalError: If a library has a version that was not checked.

    """
    require_checked_version("uvicorn", "h11", "websockets")
    return uvicorn.Config(
        application,
        http=_HttpProtocol,
        ws=_WebSocketProtocol,
        # Reason: uvicorn has one limit, for messages, and API Gateway has another for frames.
        # Uvicorn passes the value to websockets as it is, and that takes both:
        # https://websockets.readthedocs.io/en/stable/reference/sansio/server.html
        ws_max_size=cast("int", (max_message_bytes, max_frame_bytes)),
        **options,
    )


class Server(uvicorn.Server):
    """A server that installs no signal handlers.

    Reason: the runner has its own, and uvicorn has no option for it:
    https://github.com/Kludex/uvicorn/issues/526.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the runner."""
        yield


class _HttpProtocol(H11Protocol):
    """HTTP that passes on the headers of a handshake with their names as the client wrote them.

    Reason: AWS does, and ASGI wants lower case:
    https://asgi.readthedocs.io/en/latest/specs/www.html#websocket-connection-scope.
    """

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self.headers = list(event.headers.raw_items())
        super().handle_websocket_upgrade(event)


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket that counts a refused handshake as complete.

    Reason: uvicorn logs an error for each refusal otherwise:
    https://github.com/Kludex/uvicorn/pull/3138.
    """

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True
