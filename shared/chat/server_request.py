"""A request of a server, which invokes send_message itself, as IAM allows it.

Its event is ``{"send": {"senderId": …, "chatId": …, "text": …}}``: the user whose message it is,
and the fields of a ``sendmessage`` frame. It is answered as that frame would be, with the ``ack``
or the ``error`` alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from chat.chats import USER_ID_CHARACTERS, UserId, is_user_id
from chat.client_frame import ClientFrame
from chat.errors import InvalidRequest
from chat.websocket import Event, Reply

_EVENT_KEY = "send"


def is_from_server(event: object) -> bool:
    """Return whether an event is a server's. API Gateway's never are: they have other keys."""
    return isinstance(event, Mapping) and event.keys() == {_EVENT_KEY}


def to_frame_event(event: Event, request_id: str) -> Event:
    """Return the event of the frame, on no connection, as if it had been received just now."""
    context = {
        "routeKey": "sendmessage",
        "messageId": request_id,
        "requestId": request_id,
        "requestTimeEpoch": time.time_ns() // 1_000_000,
        "connectionId": None,
    }
    return {"requestContext": context, "body": json.dumps(event[_EVENT_KEY])}


def frame_in(reply: Reply) -> Any:
    """Return the frame in what API Gateway would get."""
    return json.loads(str(reply["body"]))


def sender_in(frame: ClientFrame) -> UserId:
    """Read ``senderId``, or raise `InvalidRequest`. Only a server's has it: it may name any."""
    sender_id = frame.string("senderId", max_length=128)
    if not is_user_id(sender_id):
        raise InvalidRequest(f"`senderId` must be 1 to 128 of {USER_ID_CHARACTERS}")
    return UserId(sender_id)
