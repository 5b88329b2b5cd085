"""API Gateway's event in, the reply out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from chat.client_frame import ClientFrame
from chat.connections import ConnectionId
from chat.errors import ChatError, InvalidRequest
from chat.server_frames import Answer, Error, to_json
from chat.telemetry import cause_of, count, count_refusal, instrumented, log_unexpected, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type Event = Mapping[str, Any]
type Reply = dict[str, object]

_OUR_FAULT = "Something went wrong on our side. Try again, or report the `requestId`."


class Request:
    """An event of an API Gateway WebSocket API.

    The event's shape:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
    """

    def __init__(self, event: Event) -> None:
        self._event = event

    @property
    def _context(self) -> Mapping[str, Any]:
        return _mapping(self._event.get("requestContext"))

    @property
    def connection_id(self) -> ConnectionId:
        """The connection it came on."""
        return ConnectionId(self._context["connectionId"])

    @property
    def request_id(self) -> str | None:
        """API Gateway's id of the request."""
        return _text(self._context.get("requestId"))

    @property
    def action(self) -> str | None:
        """The action of a frame; none when the client connects or disconnects."""
        return _text(self._context.get("routeKey")) if "messageId" in self._context else None

    @property
    def connected_at(self) -> int:
        """When the connection was opened, in milliseconds since 1970."""
        return int(self._context["connectedAt"])

    @property
    def received_at(self) -> int:
        """When API Gateway received the request, in milliseconds since 1970."""
        return int(self._context["requestTimeEpoch"])

    @property
    def query(self) -> Mapping[str, str]:
        """The query string of the handshake; absent from the event where the URL has none."""
        return _mapping(self._event.get("queryStringParameters"))

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the handshake, their names in lower case: the event has the client's."""
        return {name.lower(): value for name, value in _mapping(self._event.get("headers")).items()}

    @property
    def subprotocols(self) -> list[str]:
        """The sub-protocols that the handshake offers: browsers can send a token as one of them."""
        offered = self.headers.get("sec-websocket-protocol", "").split(",")
        return [name for each in offered if (name := each.strip())]

    @property
    def authorizer(self) -> Mapping[str, Any]:
        """The authorizer's context; empty where there is no authorizer."""
        return _mapping(self._context.get("authorizer"))

    @property
    def close_code(self) -> int | None:
        """The close code, when the client has disconnected."""
        return self._context.get("disconnectStatusCode")

    @property
    def close_reason(self) -> str | None:
        """The close reason, when the client has disconnected. The client chooses it: in ASCII."""
        reason = _text(self._context.get("disconnectReason"))
        return reason and reason.encode("ascii", "backslashreplace").decode()

    def require_lifecycle_event(self) -> None:
        """Require an event that says that a connection opens or has ended, not a client's frame.

        A frame may name ``$connect`` or ``$disconnect`` as its action. Whether it then takes that
        route is not documented.

        Raises:
            InvalidRequest: It is a frame.
        """
        if self._context.get("eventType") == "MESSAGE":
            raise InvalidRequest("`action` must be one of a frame's.")

    def frame(self) -> ClientFrame:
        """Read what the client sent.

        Raises:
            InvalidRequest: It is not a JSON object.
        """
        return ClientFrame.parse(_text(self._event.get("body")) or "")

    @property
    def client_message_id(self) -> str | None:
        """The client's own id of what it sent, if it can be read: an error names it."""
        try:
            return self.frame().client_message_id
        except ChatError:
            return None

    def error(self, code: str, message: str, retry_after_ms: int | None = None) -> Error:
        """Return the ``error`` frame that answers the request."""
        fields = {
            "type": "error",
            "action": self.action,
            "code": code,
            "message": message,
            "retryAfterMs": retry_after_ms,
            "requestId": self.request_id,
            "clientMessageId": self.client_message_id,
        }
        return cast("Error", {name: value for name, value in fields.items() if value is not None})


def handler(answer: Callable[[Request], Answer | None]) -> Callable[[Event, LambdaContext], Reply]:
    """Make a Lambda handler out of a function that answers a request.

    The handler gives every log line the ids of the request, and turns what `answer` returns or
    raises into API Gateway's reply.
    """

    @instrumented
    @wraps(answer)
    def lambda_handler(event: Event, _context: LambdaContext) -> Reply:
        request = Request(_mapping(event))
        try:
            logger.append_keys(connection_id=request.connection_id, request_id=request.request_id)
            return _reply(200, answer(request), request.subprotocols)
        except ChatError as refusal:
            code, action, cause = refusal.code, request.action, cause_of(refusal)
            # A client never sees why its handshake is refused. A frame's reason is in its answer.
            reason = None if action else str(refusal)
            logger.info("refused", code=code, action=action, cause=cause, reason=reason)
            count_refusal(code)
            error = request.error(code, str(refusal), refusal.retry_after_ms)
            return _reply(refusal.status, error)
        except Exception as unexpected:  # noqa: BLE001 -- see the comment
            # Without this API Gateway would answer with an error in another format, which does not
            # name the client's request.
            log_unexpected(unexpected)
            count("InternalErrors")  # Lambda does not see it
            return _reply(500, request.error("internal", _OUR_FAULT))

    return lambda_handler


def _mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    """Return a text as it is, and none for anything else."""
    return value if isinstance(value, str) else None


def _reply(status: int, frame: Answer | Error | None, subprotocols: Sequence[str] = ()) -> Reply:
    # Exactly these keys: others make API Gateway answer "Internal server error".
    reply: Reply = {"statusCode": status}
    if frame is not None:
        reply["body"] = to_json(frame)
    if subprotocols:
        # Browsers fail a connection for which none is chosen of those that they offered.
        chosen = "bearer" if "bearer" in subprotocols else subprotocols[0]
        reply["headers"] = {"Sec-WebSocket-Protocol": chosen}
    return reply
