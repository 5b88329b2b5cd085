"""``$connect``: authenticate the user, register the connection, queue its catch-up.

The client is connected once this returns; any status but 2xx refuses the handshake.
"""

from chat.authentication import Authentication, Verify
from chat.catch_up_request import CatchUpQueue, CatchUpRequest, since_in
from chat.connection_limit import ConnectionLimit
from chat.telemetry import count, logger
from chat.websocket import Request, handler


def import_verify() -> Verify:
    """Import what verifies tokens."""
    from tokens import Tokens  # noqa: PLC0415 -- the open mode does not pay for it

    return Tokens.from_environment().user_of


authentication = Authentication.from_environment(import_verify)
connection_limit = ConnectionLimit.from_environment()
catch_up_queue = CatchUpQueue.from_environment()


@handler
def lambda_handler(request: Request) -> None:
    """Open a connection."""
    request.require_lifecycle_event()
    connection = authentication.authenticate(request)
    since = since_in(request)
    # Registering comes first: what is stored from now on is pushed, and the catch-up has the rest.
    connection_limit.admit(connection)
    if since is not None:
        catch_up_queue.put(
            CatchUpRequest(
                connection.connection_id,
                connection.user_id,
                request.request_id,
                since,
                asked_at=connection.connected_at,
                expires_at=connection.expires_at,
            )
        )
    count("Connects")
    logger.info("connected", user_id=connection.user_id, catches_up=since is not None)
