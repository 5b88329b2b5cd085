"""API Gateway's rules for a WebSocket API: handshakes, frames, ends.

No sockets in here: requests come in and decisions go out as values, functions are invoked through a
callable, and clients are reached through the small `Socket` protocol.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from local.gateway import authorizers, events, results
from local.gateway.connections import Connection, Socket, new_id, now
from local.gateway.events import Event, Handshake, Request
from local.gateway.results import Refused, error_frame, is_success, refusal
from local.gateway.selection import select_route
from local.gateway.throttle import TokenBucket
from local.invocation_result import InvocationResult
from local.template.model import Api, Route

FORBIDDEN = "Forbidden"
INTERNAL_SERVER_ERROR = "Internal server error"
TOO_MANY_REQUESTS = "Too Many Requests"

type Invoke = Callable[[str, Event], Awaitable[InvocationResult]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The handshake succeeds, with the sub-protocol that `$connect` chose, if any."""

    connection: Connection
    subprotocol: str | None = None


class Gateway:
    """One API and its connections.

    Args:
        api: The API; it may be replaced while connections are open.
        invoke: Invokes a function by name with an event, and waits for its end.

    """

    def __init__(self, api: Api, invoke: Invoke) -> None:
        self.connections: dict[str, Connection] = {}
        self._invoke = invoke
        self._abandoned: set[asyncio.Future[InvocationResult]] = set()
        self.use(api)

    def use(self, api: Api) -> None:
        """Serve this API from now on; what is connected stays connected."""
        self.api = api
        started = time.monotonic()
        self._stage_bucket = TokenBucket(api.throttle, started)
        self._buckets = {
            route.key: TokenBucket(route.throttle, started)
            for route in api.routes.values()
            if route.throttle
        }

    # --- handshakes ---------------------------------------------------------------------------

    async def connect(self, handshake: Handshake) -> Accepted | Refused:
        """Decide about a handshake. It is pending until `$connect` has returned.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html
        """
        request = _new_request()
        connection = Connection(
            id=new_id(),
            connected_at=request.time,
            source_ip=handshake.source_ip,
            user_agent=handshake.header("User-Agent"),
            host=handshake.header("Host") or "",
            last_active_at=request.time,
        )
        route = self.api.routes.get("$connect")
        headers: dict[str, str] = {}
        if not self._admits("$connect"):
            return refusal(429, connection.id, request.id)
        # The route is optional: without it every connection is accepted (the same page).
        if route is not None:
            status = await self._authorize(route, connection, request, handshake)
            if status is None:
                event = events.connect_event(self.api, connection, request, handshake)
                status, headers = await self._ask_function(route, event)
            if not is_success(status):
                return refusal(status, connection.id, request.id)
        self.connections[connection.id] = connection
        # Of the response, only this header reaches the client: chalice#1768.
        chosen = {name.lower(): value for name, value in headers.items()}
        return Accepted(connection, chosen.get("sec-websocket-protocol"))

    def opened(self, connection: Connection, socket: Socket) -> None:
        """Note that the handshake is over and the client can be reached."""
        connection.socket = socket

    async def _ask_function(self, route: Route, event: Event) -> tuple[int, dict[str, str]]:
        """Return the status and headers that `$connect`'s function, or its failure, leads to."""
        outcome = await self._integrate(route, event)
        if outcome is None:
            # Past the integration's limit. Not documented for WebSocket APIs; 504 elsewhere.
            return 504, {}
        result = results.parse(outcome)
        # Exceptions and malformed results give 502 (serverless-websockets-plugin#13); any status
        # of the function's own passes through (architect/sandbox).
        return (result.status, result.headers) if result else (502, {})

    async def _authorize(
        self, route: Route, connection: Connection, request: Request, handshake: Handshake
    ) -> int | None:
        """Return the status to refuse with; `None` if the client may go on."""
        if route.authorizer is None:
            return None
        if not authorizers.has_identity(route.authorizer, handshake):
            return 401
        event = events.authorizer_event(self.api, connection, request, handshake)
        outcome = await self._invoke(route.authorizer.function, event)
        decision = authorizers.decide(outcome, self.api.route_arn("$connect"))
        if isinstance(decision, int):
            return decision
        connection.authorizer = decision
        return None

    # --- frames -------------------------------------------------------------------------------

    async def message(self, connection: Connection, text: str) -> str | None:
        """Take a frame to its route, and return the frame that answers it, if any.

        Frames of one connection may be in here side by side: API Gateway does not wait for the
        end of one to begin with the next.
        """
        request = _new_request()
        connection.last_active_at = request.time

        def error(message: str) -> str:
            return error_frame(message, connection.id, request.id)

        key = select_route(self.api.selection, text, self.api.routes)
        if key is None:
            # simple-websockets-chat-app#24; the socket stays open.
            return error(FORBIDDEN)
        if not self._admits(key):
            # What a throttled sender sees is not documented; this is the text of HTTP 429.
            return error(TOO_MANY_REQUESTS)
        route = self.api.routes[key]
        event = events.message_event(self.api, connection, request, key, text)
        outcome = await self._integrate(route, event)
        result = results.parse(outcome) if outcome else None
        if result is None:
            # On one-way routes too: simple-websockets-chat-app#42, architect#1093.
            return error(INTERNAL_SERVER_ERROR)
        if route.replies:
            # The body as it is, whatever the status; without a body, an empty frame
            # (serverless#6816). https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-integration-responses.html
            return result.body
        # Without a route response nothing of the result goes to the client, but for failures
        # (architect#1093): https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html
        return None if is_success(result.status) else error(INTERNAL_SERVER_ERROR)

    # --- ends ---------------------------------------------------------------------------------

    async def disconnect(self, connection: Connection, code: int, reason: str) -> None:
        """Forget a connection that has ended, and tell `$disconnect`, whoever closed it.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html
        """
        self.connections.pop(connection.id, None)
        connection.socket = None
        route = self.api.routes.get("$disconnect")
        if route is None:
            return
        code, reason = connection.closed_by_us or (code, reason)
        event = events.disconnect_event(self.api, connection, _new_request(), code, reason)
        await self._integrate(route, event)  # nobody is left to hear of a failure

    # --- integrations -------------------------------------------------------------------------

    async def _integrate(self, route: Route, event: Event) -> InvocationResult | None:
        """Invoke the route's function; `None` if that takes longer than the integration may.

        The function then runs on until its own timeout: API Gateway only stops waiting.
        """
        if route.function is None:
            return InvocationResult({"errorMessage": "no function"}, is_error=True)
        invocation = asyncio.ensure_future(self._invoke(route.function, event))
        try:
            done, _ = await asyncio.wait({invocation}, timeout=route.timeout)
        except asyncio.CancelledError:
            invocation.cancel()
            raise
        if done:
            return invocation.result()
        self._abandoned.add(invocation)
        invocation.add_done_callback(self._abandoned.discard)
        return None

    def _admits(self, key: str) -> bool:
        bucket = self._buckets.get(key, self._stage_bucket)
        return bucket.take(time.monotonic())


def _new_request() -> Request:
    return Request(new_id(), now())
