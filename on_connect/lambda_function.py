"""``$connect``: find out who it is, and remember the connection.

The client is connected once this returns; any status but 2xx refuses the handshake.
"""

from chat.connections import Connection, Connections
from chat.identity import who_connects
from chat.telemetry import count, logger
from chat.websocket import Request, handler

connections = Connections.from_environment()


@handler
def lambda_handler(request: Request) -> None:
    """Open a connection."""
    user_id = who_connects(request.query)
    connections.add(Connection(request.connection_id, user_id, request.connected_at))
    count("Connects")
    logger.info("connected", user_id=user_id)
