"""API Gateway's limits on WebSocket connections.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""

from dataclasses import dataclass

MAX_MESSAGE_BYTES = 128 * 1024
MAX_FRAME_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a connection may be idle, and how long it may last, in seconds."""

    idle: float = 10 * 60
    total: float = 2 * 60 * 60
