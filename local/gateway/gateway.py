"""API Gateway's rules for a WebSocket API: handshakes, frames, ends of connections.

This module has no sockets. Requests and decisions are values, a callable invokes functions, and the
protocol `ClientSocket` sends to clients.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from local.gateway import authorizers, events, results
from local.gateway.authorizers import Denial
from local.gateway.connections import ClientSocket, Connection, new_id, now_ms
from local.gateway.events import Handshake, LambdaEvent, RequestMetadata
from local.gateway.integrations import Integrations, Invoke, took_longer
from local.gateway.mapped import CallService, no_service
from local.gateway.results import Refused, error_frame, is_success, refusal
from local.gateway.selection import select_route
from local.gateway.throttle import TokenBucket
from local.template.model import Api, Route

FORBIDDEN = "Forbidden"
INTERNAL_SERVER_ERROR = "Internal server error"
TOO_MANY_REQUESTS = "Too Many Requests"


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted handshake, with the sub-protocol that `$connect` chose, if any."""

    connection: Connection
    subprotocol: str | None = None


class Gateway:
    """One API and its connections.

    Args:
        api: The API; it may be replaced while connections are open.
        invoke: Invokes a function, given its name and the event, and returns its result.
        call_service: Calls a service of AWS for an integration: see `mapped`.
        report: Called with a line for each thing that AWS would drop or refuse without a word.

    """

    def __init__(
        self,
        api: Api,
        invoke: Invoke,
        call_service: CallService = no_service,
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.connections: dict[str, Connection] = {}
        self._invoke = invoke
        self._report = report
        self._integrations = Integrations(invoke, call_service, report)
        self.replace_api(api)

    def replace_api(self, api: Api) -> None:
        """Serve this API from now on. Open connections stay open."""
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
        """Accept or refuse a handshake, after the authorizer and `$connect`.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html
        """
        request = _new_request_metadata()
        connection = Connection(
            id=new_id(),
            connected_at_ms=request.time_ms,
            source_ip=handshake.source_ip,
            user_agent=handshake.header("User-Agent"),
            host=handshake.header("Host") or "",
            last_active_at_ms=request.time_ms,
        )
        route = self.api.routes.get("$connect")
        headers: dict[str, str] = {}
        denial: Denial | None = None
        if not self._is_within_limit("$connect"):
            denial = 429, "the stage or its route $connect is throttled"
        # The route is optional: without it every connection is accepted (the same page).
        elif route is not None:
            denial = await self._authorize(route, connection, request, handshake)
            if denial is None:
                event = events.connect_event(self.api, connection, request, handshake)
                denial, headers = await self._invoke_connect(route, event)
        if denial is not None:
            status, reason = denial
            self._report(f"handshake refused with {status}: {reason}")
            return refusal(status, connection.id, request.id)
        self.connections[connection.id] = connection
        # Of the response, only this header reaches the client: chalice#1768.
        chosen = {name.lower(): value for name, value in headers.items()}
        subprotocol = chosen.get("sec-websocket-protocol")
        if subprotocol is None and handshake.header("Sec-WebSocket-Protocol"):
            self._report(
                "the client offers sub-protocols, and $connect chose none: a browser then closes"
            )
        return Accepted(connection, subprotocol)

    def open(self, connection: Connection, socket: ClientSocket) -> None:
        """Mark the handshake as over: from now on messages can be sent to the client."""
        connection.socket = socket

    async def _invoke_connect(
        self, route: Route, event: LambdaEvent
    ) -> tuple[Denial | None, dict[str, str]]:
        """Invoke the function of `$connect`; return the denial, if any, and the headers."""
        result = await self._integrations.run(route, event)
        if result is None:
            # The integration's timeout. Not documented for WebSocket APIs; 504 for other APIs.
            return (504, f"route $connect: {route.runs} {took_longer(route)}"), {}
        response = results.read_proxy_response(result)
        if response is None:
            # Exceptions and malformed results: serverless-websockets-plugin#13.
            return (502, f"route $connect: {route.runs} {results.problem_of(result)}"), {}
        if is_success(response.status):
            return None, response.headers
        # A status that the function returned goes to the client (architect/sandbox).
        return (response.status, f"route $connect: {route.runs} returned this status"), {}

    async def _authorize(
        self, route: Route, connection: Connection, request: RequestMetadata, handshake: Handshake
    ) -> Denial | None:
        """Invoke the authorizer; return its denial, or `None` to go on."""
        if route.authorizer is None:
            return None
        denial = authorizers.missing_identity(route.authorizer, handshake)
        if denial is not None:
            return denial
        event = events.authorizer_event(self.api, connection, request, handshake)
        result = await self._invoke(route.authorizer.function, event)
        decision = authorizers.decide(result, self.api.route_arn("$connect"))
        if isinstance(decision, tuple):
            return decision
        connection.authorizer = decision
        return None

    # --- frames -------------------------------------------------------------------------------

    async def message(self, connection: Connection, text: str) -> str | None:
        """Invoke the function of a frame's route; return the frame that answers it, if any.

        Frames of one connection are handled concurrently: API Gateway does not wait for the end of
        one invocation before it starts the next.
        """
        request = _new_request_metadata()
        connection.last_active_at_ms = request.time_ms

        def error(message: str) -> str:
            return error_frame(message, connection.id, request.id)

        key = select_route(self.api.selection, text, self.api.routes)
        if key is None:
            # simple-websockets-chat-app#24; the socket stays open.
            return error(FORBIDDEN)
        if not self._is_within_limit(key):
            # What a throttled sender sees is not documented; this is the text of HTTP 429.
            return error(TOO_MANY_REQUESTS)
        route = self.api.routes[key]
        event = events.message_event(self.api, connection, request, key, text)
        result = await self._integrations.run(
            route, event, f'the client gets "{INTERNAL_SERVER_ERROR}"'
        )
        response = results.read_proxy_response(result) if result else None
        if response is None:
            # One-way routes send this too: simple-websockets-chat-app#42, architect#1093.
            return error(INTERNAL_SERVER_ERROR)
        if route.replies:
            # The body unchanged, for any status; without a body, an empty frame
            # (serverless#6816). https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-integration-responses.html
            return response.body
        # Without a route response the client gets nothing of the result, except for failures
        # (architect#1093): https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html
        if not is_success(response.status):
            self._report(
                f"route {key}: {route.runs} returned status {response.status}, and the route"
                f' has no route response: the client gets "{INTERNAL_SERVER_ERROR}"'
            )
            return error(INTERNAL_SERVER_ERROR)
        if response.body and not route.mapped:
            self._report(
                f"route {key}: the body that {route.function} returned is dropped: the route has"
                " no route response"
            )
        return None

    # --- ends ---------------------------------------------------------------------------------

    async def disconnect(self, connection: Connection, code: int, reason: str) -> None:
        """Remove a connection that has ended, and invoke `$disconnect` for either side's close.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html
        """
        self.connections.pop(connection.id, None)
        connection.socket = None
        route = self.api.routes.get("$disconnect")
        if route is None:
            return
        code, reason = connection.closed_with or (code, reason)
        event = events.disconnect_event(self.api, connection, _new_request_metadata(), code, reason)
        await self._integrations.run(route, event, "API Gateway ignores it")

    # --- limits -------------------------------------------------------------------------------

    def _is_within_limit(self, key: str) -> bool:
        bucket = self._buckets.get(key, self._stage_bucket)
        return bucket.take(time.monotonic())


def _new_request_metadata() -> RequestMetadata:
    return RequestMetadata(new_id(), now_ms())
