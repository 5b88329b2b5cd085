"""The ASGI application: it turns sockets and HTTP into calls of the gateway and of Lambda."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from local.gateway.connections import Connection, now_ms
from local.gateway.events import Handshake
from local.gateway.gateway import Gateway
from local.gateway.limits import MAX_MESSAGE_BYTES, Lifetimes
from local.gateway.management import STAGE_FORBIDDEN
from local.gateway.results import Refused
from local.lambdas.invocations import InvokeApi
from local.server.functions_api import FunctionsApi, to_response
from local.server.outbox import Outbox

# While a handshake is pending, Starlette passes on uvicorn's error, an OSError.
_CLIENT_LEFT = (WebSocketDisconnect, OSError)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Application:
    """The ASGI application: one endpoint for clients, one for `@connections`, one for Invoke.

    Args:
        gateway: The rules for clients.
        invoke_api: The API by which functions invoke each other.
        lifetimes: How long connections may last.
        page: The files of the page, or `None`. AWS has no such thing.
        report: Called with a line for each handshake that is refused here.

    """

    def __init__(
        self,
        gateway: Gateway,
        invoke_api: InvokeApi,
        lifetimes: Lifetimes,
        page: StaticFiles | None,
        report: Callable[[str], None],
    ) -> None:
        self._gateway = gateway
        self._functions_api = FunctionsApi(gateway, invoke_api)
        self._lifetimes = lifetimes
        self._page = page
        self._report = report
        self._tasks: set[asyncio.Task[None]] = set()
        self.asgi = Starlette(
            routes=[
                WebSocketRoute("/{path:path}", self._websocket),
                Route(
                    "/{stage}/@connections/{connection_id}",
                    self._functions_api.connections,
                    methods=["POST", "GET", "DELETE"],
                ),
                Route(
                    "/2015-03-31/functions/{function}/invocations",
                    self._functions_api.invoke,
                    methods=["POST"],
                ),
                Route("/{path:path}", self._elsewhere, methods=_METHODS),
            ]
        )

    # --- clients ------------------------------------------------------------------------------

    async def _websocket(self, websocket: WebSocket) -> None:
        if websocket.path_params["path"].removesuffix("/") != self._gateway.api.stage:
            # aws-sdk-php#1955.
            self._report(
                f"handshake refused with 403: its path is not /{self._gateway.api.stage}, the stage"
            )
            await websocket.send_denial_response(to_response(STAGE_FORBIDDEN))
            return
        decision = await self._gateway.connect(_handshake(websocket))
        if isinstance(decision, Refused):
            refusal = Response(decision.body, decision.status, media_type="application/json")
            with contextlib.suppress(*_CLIENT_LEFT):
                await websocket.send_denial_response(refusal)
            return
        connection = decision.connection
        outbox = Outbox()
        try:
            await websocket.accept(decision.subprotocol)
        except _CLIENT_LEFT:
            await self._gateway.disconnect(connection, 1006, "")
            return
        self._gateway.open(connection, outbox)
        writer = asyncio.create_task(_write(outbox, websocket))
        code, reason = await self._receive_all(websocket, connection)
        writer.cancel()
        await self._gateway.disconnect(connection, code, reason)

    async def _receive_all(self, websocket: WebSocket, connection: Connection) -> tuple[int, str]:
        """Handle messages until the connection ends; return the code and the reason."""
        while True:
            message = await self._receive(websocket, connection)
            if message["type"] == "websocket.disconnect":
                return _how_it_ended(message)
            if message.get("bytes") is not None:
                # API Gateway takes no binary frames:
                # https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-binary-media-types.html
                connection.close(1003, "")
            elif connection.closed_with is None:
                self._start(self._answer(connection, message["text"]))

    async def _receive(self, websocket: WebSocket, connection: Connection) -> Message:
        """Return the next ASGI message; close a connection that is idle or too old."""
        while connection.closed_with is None:
            ends_at = min(
                connection.last_active_at_ms / 1000 + self._lifetimes.idle_timeout_s,
                connection.connected_at_ms / 1000 + self._lifetimes.max_duration_s,
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0, ends_at - time.time())):
                    return await websocket.receive()
            if ends_at <= time.time() and connection.last_active_at_ms / 1000 < ends_at:
                # As serverless-offline does; AWS does not document the code.
                connection.close(1001, "Going away")
        return await websocket.receive()

    async def _answer(self, connection: Connection, text: str) -> None:
        frame = await self._gateway.message(connection, text)
        if frame is None or connection.socket is None:
            return
        if len(frame.encode()) > MAX_MESSAGE_BYTES:
            # Too large in either direction (limits.py).
            connection.close(1009, "")
            return
        connection.socket.send(frame)
        connection.last_active_at_ms = now_ms()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- HTTP ---------------------------------------------------------------------------------

    async def _elsewhere(self, request: Request) -> Response:
        if request.path_params["path"].removesuffix("/") == self._gateway.api.stage:
            # AWS does not document its status for plain HTTP; 426 is what HTTP defines for it.
            return JSONResponse({"message": "Upgrade Required"}, 426, {"Upgrade": "websocket"})
        return await self._file_of_page(request) or to_response(STAGE_FORBIDDEN)

    async def _file_of_page(self, request: Request) -> Response | None:
        """Return a file of the page, or `None` if there is no such file."""
        if self._page is None:
            return None
        try:
            # Starlette serves no file outside of the folder, for any path.
            response = await self._page.get_response(
                self._page.get_path(request.scope), request.scope
            )
        except HTTPException:
            return None
        response.headers["Cache-Control"] = "no-cache"  # an edit shows at the next load
        response.headers["X-Content-Type-Options"] = "nosniff"
        # The page's policy is in a <meta>, which cannot set this directive.
        response.headers["Content-Security-Policy"] = "frame-ancestors 'none'"
        return response


async def _write(outbox: Outbox, websocket: WebSocket) -> None:
    with contextlib.suppress(*_CLIENT_LEFT):
        await outbox.write_to(websocket)


def _handshake(websocket: WebSocket) -> Handshake:
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in websocket.scope["headers"]
    ]
    client = websocket.client
    server = websocket.scope.get("server") or ("", 443)
    return Handshake(
        source_ip=client.host if client else "127.0.0.1",
        headers=headers,
        query_string=websocket.scope["query_string"].decode("latin-1"),
        port=server[1],
    )


def _how_it_ended(message: Message) -> tuple[int, str]:
    if "reason" not in message:  # no close frame came
        return 1006, ""
    code = int(message["code"])
    if code == 1005:
        # The text of AWS's own event, from Powertools' apiGatewayWebSocketApiDisconnect.json.
        return code, "Client-side close frame status not set"
    return code, message["reason"] or ""
