"""The fan-out: push a frame to all connections of the users that it concerns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from chat import aws
from chat.chats import UserId
from chat.connections import Connection, Connections, Origin
from chat.errors import Unavailable
from chat.push import Outcome, Push
from chat.retry import attempts, deadline_in, is_over
from chat.server_frames import Pushed, to_json
from chat.telemetry import count, logger

# Later than this after the work began, dead connections are left to a later push.
_CLEANUP_TIMEOUT_S: Final = 10.0
# on_connect writes the row just before it returns, so waiting longer would be waiting for the dead.
_OPENING_TIMEOUT_S: Final = 0.75


class FanOut:
    """Pushes frames to the connections of users, and forgets those that are gone."""

    def __init__(self, connections: Connections, push: Push) -> None:
        self._connections = connections
        self._push = push

    def push(
        self, frames: Mapping[UserId, Pushed], *, came_from: Origin, now: int, began_at: float
    ) -> dict[UserId, list[Outcome]]:
        """Push to all connections of the users but one; return what became of each push.

        It never raises: what could not be pushed, or to whom, costs the users time. `came_from`,
        whose frame caused this, is answered instead. `now` is in milliseconds since 1970, by API
        Gateway's clock; the work began at `began_at`, on `time.monotonic`'s clock.
        """
        data = {user_id: to_json(frame).encode() for user_id, frame in frames.items()}
        devices = [each for each in self._devices_of(*data) if each.connection_id != came_from]
        pushes = [
            partial(self._push_to, each, data[each.user_id], now, began_at) for each in devices
        ]
        results = aws.in_parallel(pushes)
        outcomes: dict[UserId, list[Outcome]] = {user_id: [] for user_id in frames}
        for device, outcome in zip(devices, results, strict=True):
            outcomes[device.user_id].append(outcome)
        count("PushFailures", results.count(Outcome.FAILED))
        return outcomes

    def _devices_of(self, *user_ids: UserId) -> list[Connection]:
        """Return the connections that could be read in time."""
        devices: list[Connection] = []
        try:
            for device in self._connections.of(*user_ids):
                devices.append(device)  # noqa: PERF402 -- those before a failure count
        except Unavailable:
            logger.warning("connections not found in time")
            count("LookupFailures")
        return devices

    def _push_to(self, device: Connection, data: bytes, now: int, began_at: float) -> Outcome:
        is_opening = device.may_be_opening(now)
        for _ in attempts(deadline_in(_OPENING_TIMEOUT_S if is_opening else 0)):
            outcome = self._push.post(device, data)
            if outcome is not Outcome.GONE:
                return outcome
        # While it may be opening, a 410 is no proof even now. A later push will know.
        if not is_opening and not is_over(began_at + _CLEANUP_TIMEOUT_S):
            self._forget(device)
        return Outcome.GONE

    def _forget(self, device: Connection) -> None:
        try:
            self._connections.remove(device.connection_id, device.user_id)
        except Unavailable:
            logger.warning("dead connection not removed", dead=device.connection_id)
        else:
            count("DeadConnectionsRemoved")
            logger.info("dead connection removed", dead=device.connection_id)
