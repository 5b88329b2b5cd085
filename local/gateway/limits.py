"""API Gateway's limits on WebSocket connections.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""

from dataclasses import dataclass

MAX_MESSAGE_BYTES = 128 * 1024
MAX_FRAME_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """When connections are closed: after idle time, and after any time. In seconds."""

    idle_timeout_s: float = 10 * 60
    max_duration_s: float = 2 * 60 * 60
