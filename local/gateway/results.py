"""Read what a function returned, and write what API Gateway itself says to clients."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from local.invocation_result import InvocationResult

# Any other key makes a result malformed: middy#1219.
_KEYS = {"statusCode", "body", "headers", "multiValueHeaders", "isBase64Encoded"}


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused handshake: it ends with an HTTP status."""

    status: int
    body: str = ""


@dataclass(frozen=True, slots=True)
class ProxyResponse:
    """A well-formed response of a Lambda proxy integration."""

    status: int
    body: str
    headers: dict[str, str]


def read_proxy_response(result: InvocationResult) -> ProxyResponse | None:
    """Return the response, or `None` if the function failed or returned something malformed.

    https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
    """
    payload = result.payload
    if result.is_error or not isinstance(payload, dict) or not payload.keys() <= _KEYS:
        return None
    status, body = payload.get("statusCode"), payload.get("body")
    headers = payload.get("headers") or {}
    if isinstance(status, str) and status.isdecimal():
        status = int(status)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        return None
    if not isinstance(body, str | None) or not isinstance(headers, dict):
        return None
    return ProxyResponse(
        status, body or "", {str(key): str(value) for key, value in headers.items()}
    )


def problem_of(result: InvocationResult) -> str | None:
    """Return what is wrong with a result, for the developer; `None` if nothing is."""
    payload = result.payload
    if not result.has_run:
        return f"does not run: {result.error}"
    if result.is_error:
        return f"failed: {result.error}"
    if read_proxy_response(result) is not None:
        return None
    if not isinstance(payload, dict):
        return f"returned {_short(payload)}, not an object with statusCode"
    return _problem_of_response(payload)


def _problem_of_response(response: dict[str, Any]) -> str:
    """Return what is wrong with a malformed response."""
    if not response.keys() <= _KEYS:
        unknown = ", ".join(sorted(response.keys() - _KEYS))
        return f"returned keys that API Gateway refuses: {unknown}"
    if not isinstance(response.get("body"), str | None):
        return f"returned a body that is not text: {_short(response['body'])}"
    if not isinstance(response.get("headers") or {}, dict):
        return "returned headers that are no object"
    return f"returned no status, but the statusCode {_short(response.get('statusCode'))}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def is_success(status: int) -> bool:
    """Return whether a status is one of 2xx."""
    return 200 <= status <= 299


def error_frame(message: str, connection_id: str, request_id: str) -> str:
    """Return the frame in which API Gateway itself reports an error to the client."""
    return json.dumps({"message": message, "connectionId": connection_id, "requestId": request_id})


def refusal(status: int, connection_id: str, request_id: str) -> Refused:
    """Return a refusal. The body that AWS sends is not known; browsers cannot read it."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Refused"
    return Refused(status, error_frame(phrase, connection_id, request_id))
