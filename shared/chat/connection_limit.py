"""The connection limit: how many connections a user may have open."""

from __future__ import annotations

import os
from typing import Final, Self

from chat.connections import Connection, Connections
from chat.errors import Unavailable
from chat.push import Outcome, Push
from chat.retry import deadline_in, is_over
from chat.telemetry import count, logger

# To close more than one, if need be. The rest is left to the next handshake.
_TIMEOUT_S: Final = 4.0


class ConnectionLimit:
    """Limit connections per user; when a new one exceeds the limit, close the oldest.

    Refusing the new one instead would lock users out: a row may outlive its connection by a day. A
    maximum of 0 is no limit.
    """

    def __init__(self, connections: Connections, push: Push, max_connections: int) -> None:
        self._connections = connections
        self._push = push
        self._max_connections = max_connections

    @classmethod
    def from_environment(cls) -> Self:
        """Use the deployed table and API, and the deployment's limit."""
        push = Push.from_environment(lazily=True)
        return cls(Connections.from_environment(), push, int(os.environ["MAX_CONNECTIONS"]))

    def admit(self, newest: Connection) -> None:
        """Register a connection, and close its user's oldest ones beyond the limit.

        A close that fails is left to the next handshake: it must not refuse the client.

        Raises:
            Unavailable: The connection could not be registered; then no other was closed.
        """
        deadline = deadline_in(_TIMEOUT_S)
        registered = self._connections.add(newest)
        if not self._max_connections:
            return
        others = [each for each in registered if each.connection_id != newest.connection_id]
        for oldest in others[: max(0, len(registered) - self._max_connections)]:
            if is_over(deadline) or not self._close(oldest, now=newest.connected_at):
                break

    def _close(self, oldest: Connection, *, now: int) -> bool:
        """Close a connection and forget it; return whether to go on with the next."""
        outcome = self._push.close(oldest.connection_id)
        if outcome is Outcome.FAILED:
            # Without its row it would be open and get nothing.
            return False
        if outcome is Outcome.GONE and oldest.may_be_opening(now):
            # It cannot be closed before its handshake is over. The next handshake closes it.
            return True
        try:
            # $disconnect would remove it, but is best effort, and does not come for the dead.
            self._connections.remove(oldest.connection_id, oldest.user_id)
        except Unavailable:
            logger.warning("oldest connection not forgotten", closed=oldest.connection_id)
            return False
        count("ConnectionsDisplaced")
        logger.info("oldest connection closed", closed=oldest.connection_id)
        return True
