"""The rules of `@connections`, the API by which functions send to clients.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
and botocore's model of apigatewaymanagementapi.
"""

import time
from dataclasses import dataclass
from typing import Any

from local.gateway.connections import ClientSocket, Connection, is_well_formed, now_ms
from local.gateway.limits import MAX_MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class ManagementResponse:
    """The response to a call of `@connections`; `error` is the exception that botocore raises."""

    status: int
    body: dict[str, Any] | None = None
    error: str | None = None


# The server writes `error` as a header. Without that header botocore raises a plain ClientError.
GONE = ManagementResponse(410, {"message": "Gone"}, "GoneException")
TOO_LARGE = ManagementResponse(413, {"message": "Payload too large"}, "PayloadTooLargeException")
LIMIT_EXCEEDED = ManagementResponse(429, {"message": "Too Many Requests"}, "LimitExceededException")
NOT_SIGNED = ManagementResponse(
    403, {"message": "Missing Authentication Token"}, "MissingAuthenticationTokenException"
)
STAGE_FORBIDDEN = ManagementResponse(403, {"message": "Forbidden"}, "ForbiddenException")


class ManagementApi:
    """Answers calls of `@connections`.

    Args:
        connections: The gateway's connections, by their ids.

    """

    def __init__(self, connections: dict[str, Connection]) -> None:
        self._connections = connections

    def post_to_connection(self, connection_id: str, data: bytes) -> ManagementResponse:
        """Send a message to a client."""
        found = self._find(connection_id)
        if isinstance(found, ManagementResponse):
            return found
        if len(data) > MAX_MESSAGE_BYTES:
            return TOO_LARGE
        connection, socket = found
        if not socket.send(data.decode(errors="replace")):
            return LIMIT_EXCEEDED
        connection.last_active_at_ms = now_ms()
        return ManagementResponse(200)

    def get_connection(self, connection_id: str) -> ManagementResponse:
        """Return when a client connected, from which address, and when it was last active."""
        found = self._find(connection_id)
        if isinstance(found, ManagementResponse):
            return found
        connection, _ = found
        identity = {"sourceIp": connection.source_ip, "userAgent": connection.user_agent or ""}
        return ManagementResponse(
            200,
            {
                "connectedAt": _iso(connection.connected_at_ms),
                "identity": identity,
                "lastActiveAt": _iso(connection.last_active_at_ms),
            },
        )

    def delete_connection(self, connection_id: str) -> ManagementResponse:
        """Disconnect a client, with the code and the reason that AWS has (boto3#3789)."""
        found = self._find(connection_id)
        if isinstance(found, ManagementResponse):
            return found
        connection, _ = found
        connection.close(1000, "Connection Closed Normally")
        del self._connections[connection_id]
        return ManagementResponse(204)

    def _find(self, connection_id: str) -> tuple[Connection, ClientSocket] | ManagementResponse:
        if not is_well_formed(connection_id):
            # localstack#4694.
            message = f"Invalid connectionId: {connection_id}"
            return ManagementResponse(
                400, {"message": message, "connectionId": connection_id}, "BadRequestException"
            )
        connection = self._connections.get(connection_id)
        # A connection exists only after $connect has returned. A post during it gets 410:
        # https://repost.aws/knowledge-center/410-gone-api-gateway
        if connection is None or connection.socket is None:
            return GONE
        return connection, connection.socket


def _iso(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"
