"""API Gateway's event in, the reply out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from chat.connections import ConnectionId
from chat.errors import ChatError, InvalidRequest, Unavailable
from chat.frames import Frame, to_json
from chat.telemetry import cause_of, count, count_refusal, instrumented, log_unexpected, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type Event = Mapping[str, Any]
type Reply = dict[str, object]

_OUR_FAULT = "Something went wrong on our side. Try again, or report the `requestId`."


@dataclass(frozen=True, slots=True)
class Request:
    """An event of an API Gateway WebSocket API.

    The event's shape:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
    """

    event: Event

    @property
    def _context(self) -> Mapping[str, Any]:
        return _mapping(self.event.get("requestContext"))

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
        """What the client asked for; none when it connects or disconnects."""
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
        return _mapping(self.event.get("queryStringParameters"))

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the handshake, their names in lower case: the event has the client's."""
        return {name.lower(): value for name, value in _mapping(self.event.get("headers")).items()}

    @property
    def authorizer(self) -> Mapping[str, Any]:
        """What an authorizer in front said; empty where there is none."""
        return _mapping(self._context.get("authorizer"))

    @property
    def close_code(self) -> int | None:
        """The close code, when the client has disconnected."""
        return self._context.get("disconnectStatusCode")

    @property
    def close_reason(self) -> str | None:
        """The close reason, when the client has disconnected."""
        return self._context.get("disconnectReason")

    def refuse_frames(self) -> None:
        """Refuse what a client sent: only API Gateway says that a connection opens or has ended.

        A frame may name ``$connect`` or ``$disconnect`` as its action. Whether it then takes that
        route is not documented.

        Raises:
            InvalidRequest: It is a frame.
        """
        if self._context.get("eventType") == "MESSAGE":
            raise InvalidRequest("`action` must be one of a frame's.")

    def frame(self) -> Frame:
        """Read what the client sent.

        Raises:
            InvalidRequest: It is not a JSON object.
        """
        return Frame.parse(_text(self.event.get("body")) or "")

    @property
    def client_message_id(self) -> str | None:
        """The client's own id of what it sent, if it can be read: an error names it."""
        try:
            return self.frame().client_message_id
        except ChatError:
            return None


def handler(
    answer: Callable[[Request], Mapping[str, object] | None],
) -> Callable[[Event, LambdaContext], Reply]:
    """Make a Lambda handler out of a function that answers a request.

    The handler gives every log line the ids of the request, and turns what `answer` returns or
    raises into API Gateway's reply.

    Args:
        answer: Takes the request and returns the frame for the client, or nothing.
    """

    @instrumented
    @wraps(answer)
    def lambda_handler(event: Event, _context: LambdaContext) -> Reply:
        request = Request(_mapping(event))
        try:
            logger.append_keys(connection_id=request.connection_id, request_id=request.request_id)
            return _reply(200, answer(request))
        except ChatError as error:
            logger.info("refused", code=error.code, action=request.action, cause=cause_of(error))
            count_refusal(error.code)
            return _refusal(request, error)
        except Exception as error:  # noqa: BLE001 -- see the comment
            # The last line of defence: without it API Gateway would answer in its own words, which
            # do not say what the client's request was.
            log_unexpected(error)
            count("InternalErrors")  # Lambda does not see it
            return _error(request, 500, code="internal", message=_OUR_FAULT)

    return lambda_handler


def _mapping(value: object) -> Mapping[str, Any]:
    """Take an object of JSON as it is, and whatever else as an empty one."""
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    """Take a text as it is, and whatever else as none."""
    return value if isinstance(value, str) else None


def _reply(status: int, frame: Mapping[str, object] | None) -> Reply:
    # Exactly these keys: others make API Gateway answer "Internal server error".
    reply: Reply = {"statusCode": status}
    if frame is not None:
        reply["body"] = to_json(frame)
    return reply


def _refusal(request: Request, error: ChatError) -> Reply:
    more = {"retryAfterMs": error.retry_after_ms} if isinstance(error, Unavailable) else {}
    return _error(request, error.status, code=error.code, message=str(error), **more)


def _error(request: Request, status: int, **fields: object) -> Reply:
    frame = {
        "type": "error",
        "action": request.action,
        **fields,
        "requestId": request.request_id,
        "clientMessageId": request.client_message_id,
    }
    return _reply(status, {name: value for name, value in frame.items() if value is not None})
