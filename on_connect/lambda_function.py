"""``$connect``: find out who it is, remember the connection, have it catch up.

The client is connected once this returns; any status but 2xx refuses the handshake.
"""

from chat.catch_up import CatchUp, CatchUps, since_in
from chat.connections import Connection, Connections
from chat.identity import who_connects
from chat.telemetry import count, logger
from chat.websocket import Request, handler

connections = Connections.from_environment()
catch_ups = CatchUps.from_environment()


@handler
def lambda_handler(request: Request) -> None:
    """Open a connection."""
    user_id = who_connects(request.query)
    since = since_in(request.query)
    # The row comes first: what is stored from now on is pushed, what was stored before is replayed.
    connections.add(Connection(request.connection_id, user_id, request.connected_at))
    if since is not None:
        catch_ups.request(CatchUp(request.connection_id, user_id, since, request.connected_at))
    count("Connects")
    logger.info("connected", user_id=user_id, catches_up=since is not None)
