"""Seats: a user has so many connections, and who comes last takes the place of who came first."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self

from chat import settings
from chat.connections import Connection, Connections
from chat.errors import Unavailable
from chat.push import Outcome, Push
from chat.telemetry import count, logger

# Each connection pays for one that it displaces. More than that are over the limit only where many
# came at once, faster than the index shows them; those who come next clear them away.
_MOST_AT_ONCE: Final = 4
# A close and the removal of its row take 8 s at worst, and $connect has 28 s in all.
_LONGEST_S: Final = 4.0


class Seats:
    """The most connections that one user may have, and who has them.

    The newest is let in and the oldest closed, rather than the other way round, because a row may
    outlive its connection by a day: dead ones, which nobody has noticed yet, would lock a user out.

    Args:
        most: How many; 0 for as many as may come, which nobody counts.
    """

    def __init__(self, connections: Connections, most: int) -> None:
        self._connections = connections
        self._most = most
        # Its thread starts when it is first needed, and waits for the next invocation.
        self._side_by_side = ThreadPoolExecutor(1)

    @classmethod
    def from_environment(cls) -> Self:
        """Give as many as the deployment does."""
        return cls(Connections.from_environment(), settings.max_connections())

    def take(self, newest: Connection) -> None:
        """Remember a connection, and close its user's oldest where there are more than may be.

        The others are looked up while it is being remembered. What cannot be done about them now
        is left to the next handshake: to keep the user out for it would do more harm than one
        connection too many.

        Raises:
            Unavailable: It could not be remembered; then no other was closed.
        """
        if not self._most:
            self._connections.add(newest)
            return
        looking = self._side_by_side.submit(self._others, newest)
        self._connections.add(newest)
        others = looking.result()
        too_many = max(0, len(others) + 1 - self._most)
        ends_at = time.monotonic() + _LONGEST_S
        for oldest in others[: min(too_many, _MOST_AT_ONCE)]:
            if time.monotonic() > ends_at or not self._close(oldest, now=newest.connected_at):
                break

    def _others(self, newest: Connection) -> list[Connection]:
        """List a user's other connections, oldest first."""
        try:
            found = self._connections.of(newest.user_id)
        except Unavailable:
            logger.warning("connections not counted in time")
            count("LookupFailures")
            return []
        others = [each for each in found if each.connection_id != newest.connection_id]
        return sorted(others, key=lambda each: each.connected_at)

    def _close(self, oldest: Connection, *, now: int) -> bool:
        """Close a connection and forget it; say whether to go on with the next."""
        # The client is made for the first that must go. Most containers never see one.
        outcome = Push.from_environment().close(oldest.connection_id)
        if outcome is Outcome.FAILED:
            # Without its row it would be open and get nothing. And the others would fail as well,
            # while the client waits.
            return False
        if outcome is Outcome.GONE and oldest.may_be_opening(now):
            return True  # it may be about to open, and would get nothing either
        try:
            # $disconnect would remove it, but is best effort, and does not come for the dead.
            self._connections.remove(oldest.connection_id)
        except Unavailable:
            logger.warning("oldest connection not forgotten", closed=oldest.connection_id)
            return False
        count("ConnectionsDisplaced")
        logger.info("oldest connection closed", closed=oldest.connection_id)
        return True
