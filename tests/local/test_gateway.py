"""API Gateway's rules, tested with plain values, without sockets and processes."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from local.gateway.connections import Connection
from local.gateway.events import Handshake
from local.gateway.gateway import Accepted, Gateway
from local.gateway.management import GONE, LIMIT_EXCEEDED, TOO_LARGE, ManagementApi
from local.gateway.results import Refused
from local.invocation_result import InvocationResult
from local.template.model import Api, Authorizer, Route, Throttle

HANDSHAKE = Handshake("192.0.2.1", [("Host", "example.org"), ("User-Agent", "test/1")], "a=1&a=2")
OK: dict[str, Any] = {"statusCode": 200}


class FakeFunctions:
    """A stand-in for functions: it returns given results, and stores the events."""

    def __init__(self, **results: Any) -> None:
        self.results = results
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.release = asyncio.Event()

    async def invoke(self, name: str, event: dict[str, Any]) -> InvocationResult:
        self.events.append((name, event))
        result = self.results[name]
        if result == "hang":
            await self.release.wait()
            return InvocationResult(OK)
        if isinstance(result, Exception):
            error = {"errorMessage": str(result), "errorType": type(result).__name__}
            return InvocationResult(error, is_error=True)
        return InvocationResult(result)

    def contexts(self, name: str) -> list[dict[str, Any]]:
        return [event["requestContext"] for each, event in self.events if each == name]


class FakeSocket:
    """A stand-in for the socket of a client."""

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.sent: list[str] = []
        self.closed: list[tuple[int, str]] = []

    def send(self, text: str) -> bool:
        if not self.full:
            self.sent.append(text)
        return not self.full

    def close(self, code: int, reason: str = "") -> None:
        self.closed.append((code, reason))


def api(*routes: Route, throttle: Throttle | None = None, **more: Any) -> Api:
    by_key = {route.key: route for route in routes}
    return Api("a123456789", "prod", "us-east-1", by_key, throttle=throttle, **more)


async def opened(gateway: Gateway, socket: FakeSocket | None = None) -> Connection:
    decision = await gateway.connect(HANDSHAKE)
    assert isinstance(decision, Accepted)
    gateway.open(decision.connection, socket or FakeSocket())
    return decision.connection


def management(gateway: Gateway) -> ManagementApi:
    return ManagementApi(gateway.connections)


def frame(action: str) -> str:
    return json.dumps({"action": action})


def message_of(text: str | None) -> str:
    assert text is not None
    return str(json.loads(text)["message"])


# --- handshakes -----------------------------------------------------------------------------------


async def test_handshake_is_accepted_without_a_connect_route() -> None:
    functions = FakeFunctions()
    gateway = Gateway(api(), functions.invoke)
    await opened(gateway)
    assert functions.events == []


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"statusCode": 401}, 401),
        ({"statusCode": "403"}, 403),
        ({"statusCode": 302}, 302),
        ({"statusCode": True}, 502),
        ({"statusCode": 99}, 502),
        ({"statusCode": 200, "headers": "none"}, 502),
        (RuntimeError("on purpose"), 502),
    ],
    ids=repr,
)
async def test_status_or_failure_of_connect_refuses_the_handshake(result: Any, status: int) -> None:
    gateway = Gateway(api(Route("$connect", "connect")), FakeFunctions(connect=result).invoke)
    decision = await gateway.connect(HANDSHAKE)
    assert isinstance(decision, Refused)
    assert decision.status == status
    assert gateway.connections == {}


async def test_integration_timeout_of_connect_is_504_and_does_not_cancel_the_function() -> None:
    functions = FakeFunctions(connect="hang")
    gateway = Gateway(api(Route("$connect", "connect", timeout_s=0.01)), functions.invoke)
    decision = await gateway.connect(HANDSHAKE)
    assert isinstance(decision, Refused)
    assert decision.status == 504
    functions.release.set()


async def test_connect_route_without_a_function_refuses_with_502() -> None:
    decision = await Gateway(api(Route("$connect", None)), FakeFunctions().invoke).connect(
        HANDSHAKE
    )
    assert isinstance(decision, Refused)
    assert decision.status == 502


async def test_throttled_handshake_is_429() -> None:
    gateway = Gateway(api(throttle=Throttle(0.001, 1)), FakeFunctions().invoke)
    await opened(gateway)
    decision = await gateway.connect(HANDSHAKE)
    assert isinstance(decision, Refused)
    assert decision.status == 429


async def test_subprotocol_header_matches_in_any_case() -> None:
    result = {"statusCode": 200, "headers": {"sec-websocket-PROTOCOL": "chat"}}
    gateway = Gateway(api(Route("$connect", "connect")), FakeFunctions(connect=result).invoke)
    decision = await gateway.connect(HANDSHAKE)
    assert isinstance(decision, Accepted)
    assert decision.subprotocol == "chat"


def policy(effect: str, resource: Any = "*", **context: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Resource": resource}
    return {"principalId": "p", "policyDocument": {"Statement": statement}, "context": context}


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (policy("Deny"), 403),
        (policy("Allow", "arn:aws:execute-api:*:*:*/other/*"), 403),
        (RuntimeError("Unauthorized"), 401),
        (RuntimeError("anything else"), 500),
        ({"principalId": "p"}, 500),
        (None, 500),
    ],
    ids=[
        "denied",
        "allowed for another stage",
        "unauthorized",
        "failed",
        "no policy",
        "no result",
    ],
)
async def test_authorizer_refusal_does_not_invoke_connect(result: Any, status: int) -> None:
    functions = FakeFunctions(authorize=result, connect=OK)
    route = Route("$connect", "connect", authorizer=Authorizer("authorize"))
    decision = await Gateway(api(route), functions.invoke).connect(HANDSHAKE)
    assert isinstance(decision, Refused)
    assert decision.status == status
    assert functions.contexts("connect") == []


async def test_authorizer_context_is_text_in_every_later_event() -> None:
    resource = ["arn:aws:execute-api:us-east-1:123456789012:a123456789/prod/$connect"]
    functions = FakeFunctions(authorize=policy("Allow", resource, n=1, flag=True), f=OK)
    routes = [
        Route("$connect", "f", authorizer=Authorizer("authorize")),
        Route("chat", "f"),
        Route("$disconnect", "f"),
    ]
    gateway = Gateway(api(*routes), functions.invoke)
    connection = await opened(gateway)
    await gateway.message(connection, frame("chat"))
    await gateway.disconnect(connection, 1000, "")
    expected = {"principalId": "p", "n": "1", "flag": "true"}
    assert [context["authorizer"] for context in functions.contexts("f")] == [expected] * 3


@pytest.mark.parametrize(
    ("source", "present"),
    [
        ("route.request.header.user-agent", True),
        ("route.request.header.X-Token", False),
        ("route.request.querystring.a", True),
        ("route.request.querystring.b", False),
    ],
)
async def test_handshake_without_an_identity_source_is_refused(source: str, present: bool) -> None:
    functions = FakeFunctions(authorize=policy("Allow"), connect=OK)
    route = Route("$connect", "connect", authorizer=Authorizer("authorize", (source,)))
    decision = await Gateway(api(route), functions.invoke).connect(HANDSHAKE)
    assert isinstance(decision, Accepted) is present


# --- frames ---------------------------------------------------------------------------------------


async def test_frame_without_a_route_is_forbidden_and_invokes_nothing() -> None:
    functions = FakeFunctions()
    gateway = Gateway(api(Route("chat", "f")), functions.invoke)
    connection = await opened(gateway)
    answer = json.loads(await gateway.message(connection, frame("nowhere")) or "")
    assert answer.keys() == {"message", "connectionId", "requestId"}
    assert (answer["message"], answer["connectionId"]) == ("Forbidden", connection.id)
    assert functions.events == []


@pytest.mark.parametrize(
    ("replies", "result", "expected"),
    [
        (True, {"statusCode": 200, "body": "hi"}, "hi"),
        (True, {"statusCode": 500, "body": "hi"}, "hi"),
        (True, {"statusCode": 200}, ""),
        (True, {"statusCode": 200, "body": None}, ""),
        (False, {"statusCode": 200, "body": "hi"}, None),
        (False, {"statusCode": 299}, None),
    ],
    ids=repr,
)
async def test_body_is_the_reply_only_with_a_route_response(
    replies: bool, result: Any, expected: str | None
) -> None:
    gateway = Gateway(api(Route("chat", "f", replies=replies)), FakeFunctions(f=result).invoke)
    assert await gateway.message(await opened(gateway), frame("chat")) == expected


@pytest.mark.parametrize("replies", [True, False])
@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        "text",
        {},
        {"statusCode": 200, "body": 1},
        {"statusCode": 200, "more": 1},
        RuntimeError("x"),
    ],
    ids=repr,
)
async def test_failed_function_is_an_internal_server_error(replies: bool, result: Any) -> None:
    gateway = Gateway(api(Route("chat", "f", replies=replies)), FakeFunctions(f=result).invoke)
    answer = await gateway.message(await opened(gateway), frame("chat"))
    assert message_of(answer) == "Internal server error"


async def test_error_status_on_a_one_way_route_is_an_internal_server_error() -> None:
    gateway = Gateway(api(Route("chat", "f")), FakeFunctions(f={"statusCode": 400}).invoke)
    answer = await gateway.message(await opened(gateway), frame("chat"))
    assert message_of(answer) == "Internal server error"


async def test_error_frame_has_the_id_of_the_failed_request() -> None:
    functions = FakeFunctions(f=RuntimeError("x"))
    gateway = Gateway(api(Route("chat", "f")), functions.invoke)
    answer = await gateway.message(await opened(gateway), frame("chat"))
    assert json.loads(answer or "")["requestId"] == functions.contexts("f")[0]["requestId"]


async def test_integration_timeout_of_a_frame_is_an_internal_server_error() -> None:
    functions = FakeFunctions(f="hang")
    gateway = Gateway(api(Route("chat", "f", replies=True, timeout_s=0.01)), functions.invoke)
    answer = await gateway.message(await opened(gateway), frame("chat"))
    assert message_of(answer) == "Internal server error"
    functions.release.set()


async def test_throttle_of_a_route_does_not_limit_other_routes() -> None:
    gateway = Gateway(
        api(Route("rare", "f", throttle=Throttle(0.001, 1)), Route("chat", "f"), throttle=None),
        FakeFunctions(f=OK).invoke,
    )
    connection = await opened(gateway)
    assert await gateway.message(connection, frame("rare")) is None
    assert message_of(await gateway.message(connection, frame("rare"))) == "Too Many Requests"
    assert await gateway.message(connection, frame("chat")) is None


async def test_frames_do_not_use_up_the_throttle_of_the_handshake() -> None:
    routes = (Route("$connect", "f", throttle=Throttle(0.001, 2)), Route("chat", "f"))
    gateway = Gateway(api(*routes, throttle=Throttle(0.001, 1)), FakeFunctions(f=OK).invoke)
    connection = await opened(gateway)
    assert await gateway.message(connection, frame("chat")) is None
    assert message_of(await gateway.message(connection, frame("chat"))) == "Too Many Requests"
    assert isinstance(await gateway.connect(HANDSHAKE), Accepted)
    decision = await gateway.connect(HANDSHAKE)
    assert isinstance(decision, Refused)
    assert decision.status == 429


# --- ends -----------------------------------------------------------------------------------------


async def test_disconnect_event_has_the_close_code_and_reason_of_the_client() -> None:
    functions = FakeFunctions(bye=OK)
    gateway = Gateway(api(Route("$disconnect", "bye")), functions.invoke)
    connection = await opened(gateway)
    await gateway.disconnect(connection, 1001, "tab closed")
    (context,) = functions.contexts("bye")
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (1001, "tab closed")
    assert management(gateway).post_to_connection(connection.id, b"x") == GONE


async def test_disconnect_event_has_the_close_code_of_the_gateway_if_that_closed_first() -> None:
    functions = FakeFunctions(bye=OK)
    gateway = Gateway(api(Route("$disconnect", "bye")), functions.invoke)
    socket = FakeSocket()
    connection = await opened(gateway, socket)
    connection.close(1001, "Going away")
    connection.close(1000, "too late")
    await gateway.disconnect(connection, 1005, "")
    assert socket.closed == [(1001, "Going away")]
    assert functions.contexts("bye")[0]["disconnectStatusCode"] == 1001


async def test_failed_disconnect_function_raises_nothing() -> None:
    gateway = Gateway(api(Route("$disconnect", "bye")), FakeFunctions(bye=RuntimeError()).invoke)
    await gateway.disconnect(await opened(gateway), 1000, "")


# --- @connections ---------------------------------------------------------------------------------


async def test_post_is_sent_and_counts_as_activity() -> None:
    gateway = Gateway(api(), FakeFunctions().invoke)
    socket = FakeSocket()
    connection = await opened(gateway, socket)
    connection.last_active_at_ms = 0
    assert management(gateway).post_to_connection(connection.id, "Grüße".encode()).status == 200
    assert socket.sent == ["Grüße"]
    assert connection.last_active_at_ms > 0


async def test_post_to_a_client_with_a_full_buffer_is_429() -> None:
    gateway = Gateway(api(), FakeFunctions().invoke)
    connection = await opened(gateway, FakeSocket(full=True))
    assert management(gateway).post_to_connection(connection.id, b"x") == LIMIT_EXCEEDED


async def test_post_over_128_kib_is_413() -> None:
    gateway = Gateway(api(), FakeFunctions().invoke)
    connection = await opened(gateway)
    assert management(gateway).post_to_connection(connection.id, b"x" * 131072).status == 200
    assert management(gateway).post_to_connection(connection.id, b"x" * 131073) == TOO_LARGE


async def test_get_during_the_handshake_is_410() -> None:
    gateway = Gateway(api(), FakeFunctions().invoke)
    decision = await gateway.connect(HANDSHAKE)
    assert isinstance(decision, Accepted)
    assert management(gateway).get_connection(decision.connection.id) == GONE


async def test_get_returns_times_in_iso_format() -> None:
    gateway = Gateway(api(), FakeFunctions().invoke)
    connection = await opened(gateway)
    connection.connected_at_ms = connection.last_active_at_ms = 1588281033236
    assert management(gateway).get_connection(connection.id).body == {
        "connectedAt": "2020-04-30T21:10:33.236Z",
        "identity": {"sourceIp": "192.0.2.1", "userAgent": "test/1"},
        "lastActiveAt": "2020-04-30T21:10:33.236Z",
    }


async def test_delete_closes_and_removes_the_connection() -> None:
    gateway = Gateway(api(), FakeFunctions().invoke)
    socket = FakeSocket()
    connection = await opened(gateway, socket)
    assert management(gateway).delete_connection(connection.id).status == 204
    assert socket.closed == [(1000, "Connection Closed Normally")]
    assert management(gateway).delete_connection(connection.id) == GONE


@pytest.mark.parametrize("connection_id", ["", "short=", "AAAAAAAAAAAAAAAA", "../../../../../x="])
def test_malformed_connection_id_is_a_bad_request(connection_id: str) -> None:
    answer = ManagementApi({}).get_connection(connection_id)
    assert (answer.status, answer.error) == (400, "BadRequestException")


# --- the stage ------------------------------------------------------------------------------------


async def test_event_has_stage_variables_only_if_the_stage_has_any() -> None:
    functions = FakeFunctions(f=OK)
    variables: Mapping[str, str] = {"Room": "lobby"}
    gateway = Gateway(api(Route("chat", "f"), stage_variables=variables), functions.invoke)
    connection = await opened(gateway)
    await gateway.message(connection, frame("chat"))
    gateway.replace_api(api(Route("chat", "f")))
    await gateway.message(connection, frame("chat"))
    assert functions.events[0][1]["stageVariables"] == {"Room": "lobby"}
    assert "stageVariables" not in functions.events[1][1]


async def test_connection_stays_open_with_a_new_template() -> None:
    gateway = Gateway(api(), FakeFunctions(f=OK).invoke)
    connection = await opened(gateway)
    assert message_of(await gateway.message(connection, frame("chat"))) == "Forbidden"
    gateway.replace_api(api(Route("chat", "f")))
    assert await gateway.message(connection, frame("chat")) is None
