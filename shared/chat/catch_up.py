"""A user who was away asks for what was missed: what on_connect hands to send_message.

Nothing can be pushed before $connect has returned, so on_connect only asks for it, by an
asynchronous invocation. `chat.replay` does it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Self

from chat import aws, settings
from chat.connections import ConnectionId
from chat.errors import InvalidRequest
from chat.identity import UserId

if TYPE_CHECKING:
    from chat.websocket import Request

_EVENT_KEY = "catchUp"
# As many digits as there could be: the year 318857. Python's and DynamoDB's numbers reach further.
_MILLISECONDS = re.compile(r"[0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What a connection wants to hear of.

    Attributes:
        since: Messages stored after this, in milliseconds since 1970; at most `connected_at`.
        connected_at: When API Gateway saw the handshake, in milliseconds since 1970.
    """

    connection_id: ConnectionId
    user_id: UserId
    since: int
    connected_at: int

    @classmethod
    def in_event(cls, event: object) -> Self | None:
        """Read what `CatchUps.request` sent, if the event is that. API Gateway's never are."""
        wanted = event.get(_EVENT_KEY) if isinstance(event, Mapping) else None
        if not isinstance(wanted, Mapping) or wanted.keys() != _FIELDS:
            return None
        return cls(**wanted)


_FIELDS = {field.name for field in fields(CatchUp)}


class CatchUps:
    """The way to ask send_message for it."""

    def __init__(self, function: str) -> None:
        self._function = function

    @classmethod
    def from_environment(cls) -> Self:
        """Ask the deployed function."""
        return cls(settings.send_message_function())

    def request(self, catch_up: CatchUp) -> None:
        """Have it done as soon as can be.

        Lambda queues the event, and tries again where the function fails:
        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html

        Raises:
            Unavailable: Lambda did not take it.
        """
        with aws.overload_as_unavailable():
            # Most connections ask for nothing, so its client is made for the first that does.
            aws.lambda_api().invoke(
                FunctionName=self._function,
                InvocationType="Event",
                Payload=json.dumps({_EVENT_KEY: asdict(catch_up)}).encode(),
            )


def since_in(request: Request) -> int | None:
    """Read ``since`` from the query string of a handshake, in milliseconds since 1970.

    A `since` later than the handshake counts as the handshake's own time: a client whose clock is
    ahead would otherwise skip every message until then.

    Raises:
        InvalidRequest: It is there, and is not a whole number of 0 or more.
    """
    since = request.query.get("since")
    if since is None:
        return None
    if not _MILLISECONDS.fullmatch(since):
        raise InvalidRequest("`since` must be a whole number: milliseconds since 1970.")
    return min(int(since), request.connected_at)
