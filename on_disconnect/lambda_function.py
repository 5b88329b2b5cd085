"""``$disconnect``: remove the connection.

API Gateway calls this when it notices that a connection has ended. That is best effort, so nothing
depends on it: a push to a connection that is gone removes its row as well.
"""

from chat.connections import Connections
from chat.telemetry import count, logger
from chat.websocket import Request, handler

connections = Connections.from_environment()


@handler
def lambda_handler(request: Request) -> None:
    """Close a connection."""
    request.require_lifecycle_event()
    connections.remove(request.connection_id)
    count("Disconnects")
    logger.info("disconnected", close_code=request.close_code, close_reason=request.close_reason)
