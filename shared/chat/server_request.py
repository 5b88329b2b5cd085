"""A request of a server, which invokes send_message itself, as IAM allows it.

Its event is ``{"send": {"senderId": …, "chatId": …, "text": …}}``: the user whose message it is,
and the fields of a ``sendmessage`` frame, as which it is answered.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chat.chats import USER_ID_CHARACTERS, UserId, is_user_id
from chat.client_frame import ClientFrame
from chat.errors import InvalidRequest
from chat.websocket import Event, Reply

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type _Handler = Callable[[Event, LambdaContext], Reply]


def is_from_server(event: object) -> bool:
    """Return whether an event is a server's. API Gateway's never are: they have other keys."""
    return isinstance(event, Mapping) and event.keys() == {"send"}


def answer_as_frame(event: Event, context: LambdaContext, answer: _Handler) -> Any:
    """Return the frame with which `answer` replies to the same on no connection, received now."""
    frame_context = {
        "routeKey": "sendmessage",
        "messageId": context.aws_request_id,
        "requestId": context.aws_request_id,
        "requestTimeEpoch": time.time_ns() // 1_000_000,
        "connectionId": None,
    }
    frame_event = {"requestContext": frame_context, "body": json.dumps(event["send"])}
    return json.loads(str(answer(frame_event, context)["body"]))


def sender_in(frame: ClientFrame) -> UserId:
    """Read ``senderId``, or raise `InvalidRequest`. Only a server's has it: it may name any."""
    sender_id = frame.string("senderId", max_length=128)
    if not is_user_id(sender_id):
        raise InvalidRequest(f"`senderId` must be 1 to 128 of {USER_ID_CHARACTERS}")
    return UserId(sender_id)
