"""The events that API Gateway invokes functions with.

Shapes: events captured from AWS,
https://github.com/aws-powertools/powertools-lambda-python/tree/develop/tests/events
(apiGatewayWebSocketApi{Connect,Message,Disconnect}.json, apiGatewayAuthorizerWebSocketEvent.json).
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from local.gateway.connections import Connection, new_id
from local.template.model import Api

type LambdaEvent = dict[str, Any]

# The $connect event lacks these, the authorizer's has them (the same captures).
_HOP_BY_HOP = {"connection", "upgrade", "content-length"}


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client's request to open a connection. The names of headers keep their case."""

    source_ip: str
    headers: Sequence[tuple[str, str]]
    query_string: str = ""
    port: int = 443

    def header(self, name: str) -> str | None:
        """Return the last value of a header; its name matches in any case."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters of the query string, each with all of its values."""
        return _group_values(parse_qsl(self.query_string, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class RequestMetadata:
    """The id and the time of one request to the API. The time is in milliseconds since 1970."""

    id: str
    time_ms: int


def connect_event(
    api: Api, connection: Connection, request: RequestMetadata, handshake: Handshake
) -> LambdaEvent:
    """Build the event of `$connect`."""
    headers = [
        (name, value)
        for name, value in _with_forwarding(handshake)
        if name.lower() not in _HOP_BY_HOP
    ]
    return {
        **_headers(headers),
        # Without a query string these two are absent, not empty:
        # https://github.com/dherault/serverless-offline tests/manual/websocket/main/test/e2e
        **(_query(handshake.query) if handshake.query else {}),
        **_stage_variables(api),
        "requestContext": _context(api, connection, request, "$connect", "CONNECT"),
        "isBase64Encoded": False,
    }


def message_event(
    api: Api, connection: Connection, request: RequestMetadata, route_key: str, text: str
) -> LambdaEvent:
    """Build the event of a frame. It has no headers and no query string."""
    context = _context(api, connection, request, route_key, "MESSAGE")
    context["messageId"] = new_id()
    return {
        **_stage_variables(api),
        "requestContext": context,
        "body": text,
        "isBase64Encoded": False,
    }


def disconnect_event(
    api: Api, connection: Connection, request: RequestMetadata, code: int, reason: str
) -> LambdaEvent:
    """Build the event of `$disconnect`. Its headers are only these four, three of them empty."""
    context = _context(api, connection, request, "$disconnect", "DISCONNECT")
    context["disconnectStatusCode"] = code
    context["disconnectReason"] = reason
    headers = [
        ("Host", connection.host),
        ("x-api-key", ""),
        ("X-Forwarded-For", ""),
        ("x-restapi", ""),
    ]
    return {
        **_headers(headers),
        **_stage_variables(api),
        "requestContext": context,
        "isBase64Encoded": False,
    }


def authorizer_event(
    api: Api, connection: Connection, request: RequestMetadata, handshake: Handshake
) -> LambdaEvent:
    """Build the event of a Lambda authorizer, where a missing part is empty, not absent."""
    return {
        "type": "REQUEST",
        "methodArn": api.route_arn("$connect"),
        **_headers([*_with_forwarding(handshake), ("content-length", "0")]),
        **_query(handshake.query),
        "stageVariables": dict(api.stage_variables or {}),
        "requestContext": _context(api, connection, request, "$connect", "CONNECT"),
    }


def _context(
    api: Api, connection: Connection, request: RequestMetadata, route_key: str, event_type: str
) -> LambdaEvent:
    request_time = time.gmtime(request.time_ms / 1000)
    identity = {"sourceIp": connection.source_ip}
    if connection.user_agent is not None:
        identity["userAgent"] = connection.user_agent
    context: LambdaEvent = {
        "routeKey": route_key,
        "eventType": event_type,
        # The two ids are the same:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
        "extendedRequestId": request.id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", request_time),
        "messageDirection": "IN",
        "stage": api.stage,
        "connectedAt": connection.connected_at_ms,
        "requestTimeEpoch": request.time_ms,
        "identity": identity,
        "requestId": request.id,
        "domainName": api.domain_name,
        "connectionId": connection.id,
        "apiId": api.id,
    }
    if connection.authorizer is not None:
        # On every later route, and on DISCONNECT: serverless-offline#1379, boto3#3789.
        context["authorizer"] = connection.authorizer
    return context


def _with_forwarding(handshake: Handshake) -> list[tuple[str, str]]:
    trace = uuid.uuid4().hex
    return [
        *handshake.headers,
        ("X-Amzn-Trace-Id", f"Root=1-{int(time.time()):08x}-{trace[:24]}"),
        ("X-Forwarded-For", handshake.source_ip),
        ("X-Forwarded-Port", str(handshake.port)),
        ("X-Forwarded-Proto", "http"),
    ]


def _headers(headers: Sequence[tuple[str, str]]) -> LambdaEvent:
    # If a header comes twice, `headers` has the last value.
    return {"headers": dict(headers), "multiValueHeaders": _group_values(headers)}


def _query(query: Mapping[str, list[str]]) -> LambdaEvent:
    return {
        "queryStringParameters": {name: values[-1] for name, values in query.items()},
        "multiValueQueryStringParameters": dict(query),
    }


def _stage_variables(api: Api) -> LambdaEvent:
    # Events carry stage variables if there are any. Whether AWS sends an empty mapping otherwise is
    # not known.
    return {"stageVariables": dict(api.stage_variables)} if api.stage_variables else {}


def _group_values(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped
