"""API Gateway's events, in the form in which AWS sends them.

The form is that of the events captured in aws-powertools/powertools-lambda-python,
tests/events/apiGatewayWebSocketApi{Connect,Message,Disconnect}.json.
"""

import json
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any


def new_id() -> str:
    """Make an id as API Gateway makes them: 16 characters, the last a ``=``."""
    return urlsafe_b64encode(uuid.uuid4().bytes[:11]).decode()


def now() -> int:
    """Tell API Gateway's time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def connect(
    connection_id: str,
    query: Mapping[str, str],
    *,
    connected_at: int | None = None,
    headers: Mapping[str, str] | None = None,
    authorizer: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    sent = {"Host": "chat.example.com", "Sec-WebSocket-Version": "13", **(headers or {})}
    event: dict[str, Any] = {
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "requestContext": _context(
            connection_id,
            "CONNECT",
            routeKey="$connect",
            connectedAt=connected_at,
            authorizer=authorizer,
        ),
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = dict(query)
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
    return event


def message(connection_id: str, frame: object, *, at: int | None = None) -> dict[str, Any]:
    """Make the event of a frame; a text is sent as it is, anything else as JSON."""
    body = frame if isinstance(frame, str) else json.dumps(frame)
    action = frame.get("action") if isinstance(frame, dict) else "sendmessage"
    context = _context(connection_id, "MESSAGE", routeKey=action, messageId=new_id())
    if at is not None:
        context["requestTimeEpoch"] = at
    return {"requestContext": context, "body": body, "isBase64Encoded": False}


def disconnect(connection_id: str, *, code: int = 1000, reason: str = "") -> dict[str, Any]:
    return {
        "headers": {"Host": "chat.example.com", "x-api-key": "", "X-Forwarded-For": ""},
        "multiValueHeaders": {"Host": ["chat.example.com"]},
        "requestContext": _context(
            connection_id,
            "DISCONNECT",
            routeKey="$disconnect",
            disconnectStatusCode=code,
            disconnectReason=reason,
        ),
        "isBase64Encoded": False,
    }


def _context(connection_id: str, event_type: str, **more: Any) -> dict[str, Any]:
    received_at = now()
    request_id = new_id()
    context = {
        "eventType": event_type,
        "extendedRequestId": request_id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "messageDirection": "IN",
        "stage": "prod",
        "connectedAt": received_at,
        "requestTimeEpoch": received_at,
        "identity": {"sourceIp": "192.0.2.1"},
        "requestId": request_id,
        "domainName": "abc123.execute-api.us-east-1.amazonaws.com",
        "connectionId": connection_id,
        "apiId": "abc123",
    }
    return context | {name: value for name, value in more.items() if value is not None}
