"""The rules of `@connections`, by which functions reach clients.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
and botocore's model of apigatewaymanagementapi.
"""

import time
from dataclasses import dataclass
from typing import Any

from local.gateway.connections import Connection, Socket, is_well_formed, now
from local.gateway.limits import MAX_MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call of `@connections`; `error` is the exception that it raises."""

    status: int
    body: dict[str, Any] | None = None
    error: str | None = None


# Botocore tells errors apart by the header that `error` becomes; without it every one of them is a
# plain ClientError.
GONE = Answer(410, {"message": "Gone"}, "GoneException")
TOO_LARGE = Answer(413, {"message": "Payload too large"}, "PayloadTooLargeException")
LIMIT_EXCEEDED = Answer(429, {"message": "Too Many Requests"}, "LimitExceededException")
STAGE_FORBIDDEN = Answer(403, {"message": "Forbidden"}, "ForbiddenException")


class ManagementApi:
    """Answers calls of `@connections`.

    Args:
        connections: The gateway's connections, by their ids.

    """

    def __init__(self, connections: dict[str, Connection]) -> None:
        self._connections = connections

    def post_to_connection(self, connection_id: str, data: bytes) -> Answer:
        """Send a message to a client."""
        found = self._find(connection_id)
        if isinstance(found, Answer):
            return found
        if len(data) > MAX_MESSAGE_BYTES:
            return TOO_LARGE
        connection, socket = found
        if not socket.send(data.decode(errors="replace")):
            return LIMIT_EXCEEDED
        connection.last_active_at = now()
        return Answer(200)

    def get_connection(self, connection_id: str) -> Answer:
        """Tell when a client connected, from where, and when it was last active."""
        found = self._find(connection_id)
        if isinstance(found, Answer):
            return found
        connection, _ = found
        identity = {"sourceIp": connection.source_ip, "userAgent": connection.user_agent or ""}
        return Answer(
            200,
            {
                "connectedAt": _iso(connection.connected_at),
                "identity": identity,
                "lastActiveAt": _iso(connection.last_active_at),
            },
        )

    def delete_connection(self, connection_id: str) -> Answer:
        """Disconnect a client. No code or reason can be given; AWS reports these (boto3#3789)."""
        found = self._find(connection_id)
        if isinstance(found, Answer):
            return found
        connection, _ = found
        connection.close(1000, "Connection Closed Normally")
        del self._connections[connection_id]
        return Answer(204)

    def _find(self, connection_id: str) -> tuple[Connection, Socket] | Answer:
        if not is_well_formed(connection_id):
            # localstack#4694.
            message = f"Invalid connectionId: {connection_id}"
            return Answer(
                400, {"message": message, "connectionId": connection_id}, "BadRequestException"
            )
        connection = self._connections.get(connection_id)
        # A connection exists only once $connect has returned, and 410 is what a post in it gets:
        # https://repost.aws/knowledge-center/410-gone-api-gateway
        if connection is None or connection.socket is None:
            return GONE
        return connection, connection.socket


def _iso(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"
