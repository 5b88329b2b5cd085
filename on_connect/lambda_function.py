"""``$connect``: find out who it is, remember the connection, have it catch up.

The client is connected once this returns; any status but 2xx refuses the handshake.
"""

from chat.catch_up import CatchUp, CatchUps, since_in
from chat.connection_limit import ConnectionLimit
from chat.connections import Connection
from chat.handshake import Handshakes
from chat.telemetry import count, logger
from chat.websocket import Request, handler

handshakes = Handshakes.from_environment()
connection_limit = ConnectionLimit.from_environment()
catch_ups = CatchUps.from_environment()


@handler
def lambda_handler(request: Request) -> None:
    """Open a connection."""
    request.refuse_frames()
    user_id = handshakes.user_of(request)
    since = since_in(request)
    connection = Connection(request.connection_id, user_id, request.connected_at)
    # Registering comes first: what is stored from now on is pushed, what was before is replayed.
    connection_limit.admit(connection)
    if since is not None:
        catch_ups.request(CatchUp(request.connection_id, user_id, since, request.connected_at))
    count("Connects")
    logger.info("connected", user_id=user_id, catches_up=since is not None)
