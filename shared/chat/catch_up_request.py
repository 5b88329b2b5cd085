"""The request for a catch-up, which `chat.catch_up` answers.

It comes with a ``getmessages`` frame, or with the handshake. Nothing can be pushed before $connect
has returned, so on_connect queues the request by an asynchronous invocation of send_message.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Self

from chat import aws
from chat.chats import UserId
from chat.client_frame import MAX_TIMESTAMP
from chat.connections import Connection, ConnectionId
from chat.errors import InvalidRequest

if TYPE_CHECKING:
    from chat.client_frame import ClientFrame
    from chat.websocket import Request

_EVENT_KEY = "catchUp"
_MILLISECONDS = re.compile(r"[0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class CatchUpRequest:
    """A connection asks for the messages that its user missed.

    Attributes:
        request_id: API Gateway's id of the handshake or the frame.
        since: From when on, in milliseconds since 1970; at most `asked_at`. What is later counts as
            `asked_at`: a client whose clock is ahead would otherwise skip every message until then.
        asked_at: When API Gateway received the handshake or the frame, in milliseconds since 1970.
        expires_at: As in `Connection`.
    """

    connection_id: ConnectionId
    user_id: UserId
    request_id: str | None
    since: int
    asked_at: int
    expires_at: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "since", min(self.since, self.asked_at))

    @classmethod
    def in_event(cls, event: object) -> Self | None:
        """Read what `CatchUpQueue.put` sent, if the event is that. API Gateway's never are."""
        fields_sent = event.get(_EVENT_KEY) if isinstance(event, Mapping) else None
        if not isinstance(fields_sent, Mapping) or fields_sent.keys() != _FIELDS:
            return None
        return cls(**fields_sent)

    @classmethod
    def in_frame(cls, frame: ClientFrame, request: Request, connection: Connection) -> Self | None:
        """Read a ``getmessages`` frame with ``since``; none if it asks for a page of a chat.

        Raises:
            InvalidRequest: It asks for neither or for both, or `since` is not of the agreed form.
        """
        if frame.has("since") == frame.has("chatId"):
            raise InvalidRequest("Give `since` to catch up, or `chatId` to read a chat, not both.")
        since = frame.optional_whole_number("since", maximum=MAX_TIMESTAMP)
        if since is None:
            return None
        return cls(
            connection.connection_id,
            connection.user_id,
            request.request_id,
            since,
            request.received_at,
            connection.expires_at,
        )


_FIELDS = {field.name for field in fields(CatchUpRequest)}


class CatchUpQueue:
    """Lambda's queue of asynchronous invocations of send_message."""

    def __init__(self, lambda_api: aws.Lambda, function: str) -> None:
        self._lambda_api = lambda_api
        self._function = function

    @classmethod
    def from_environment(cls) -> Self:
        """Use the deployed function."""
        # Most connections do not catch up.
        return cls(aws.lazily(aws.lambda_api), os.environ["SEND_MESSAGE_FUNCTION"])

    @aws.overload_as_unavailable()
    def put(self, request: CatchUpRequest) -> None:
        """Queue a catch-up, or raise `Unavailable`. Lambda tries one that fails three times."""
        self._lambda_api.invoke(
            FunctionName=self._function,
            InvocationType="Event",
            Payload=json.dumps({_EVENT_KEY: asdict(request)}).encode(),
        )


def since_in(request: Request) -> int | None:
    """Read ``since`` from the query string of a handshake, in milliseconds since 1970.

    Raises:
        InvalidRequest: It is there, and is not a whole number of 0 or more.
    """
    since = request.query.get("since")
    if since is None:
        return None
    if not _MILLISECONDS.fullmatch(since):
        raise InvalidRequest("`since` must be a whole number: milliseconds since 1970.")
    return int(since)
