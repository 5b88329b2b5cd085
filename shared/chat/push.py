"""Push a frame to a connection, or close it, through the API Gateway Management API."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Self

from botocore.exceptions import ClientError

from chat import aws
from chat.connections import Connection, ConnectionId
from chat.telemetry import kind_of, logger


class Outcome(Enum):
    """The result of a push, or of a close."""

    OK = auto()
    # 410: there is no such connection, or $connect has not returned yet:
    # https://repost.aws/knowledge-center/410-gone-api-gateway
    # Or its token has expired, so that a push has closed it.
    GONE = auto()
    # Anything else, after botocore tried again.
    FAILED = auto()


class Push:
    """Pushes frames to connections, and closes them."""

    def __init__(self, management_api: aws.ManagementApi) -> None:
        self._management_api = management_api

    @classmethod
    def from_environment(cls, *, lazily: bool = False) -> Self:
        """Use the deployed API; `lazily` where most containers never do."""
        return cls(aws.lazily(aws.management_api) if lazily else aws.management_api())

    def post(self, connection: Connection, data: bytes) -> Outcome:
        """Push one frame, at most 128 KB. Never raise for what the network or the client did.

        A connection whose token has expired is closed instead.
        """
        if not connection.has_expired():
            return self._post(connection.connection_id, data)
        outcome = self.close(connection.connection_id)
        return outcome if outcome is Outcome.FAILED else Outcome.GONE

    def _post(self, connection_id: ConnectionId, data: bytes) -> Outcome:
        return self._outcome(
            "push failed",
            connection_id,
            lambda: self._management_api.post_to_connection(ConnectionId=connection_id, Data=data),
        )

    def close(self, connection_id: ConnectionId, last_frame: bytes | None = None) -> Outcome:
        """Close a connection, after a last frame. Never raise, like `post`."""
        if last_frame is not None:
            self._post(connection_id, last_frame)
        return self._outcome(
            "close failed",
            connection_id,
            lambda: self._management_api.delete_connection(ConnectionId=connection_id),
        )

    def _outcome(
        self, failure: str, connection_id: ConnectionId, call: Callable[[], object]
    ) -> Outcome:
        try:
            call()
        except self._management_api.exceptions.GoneException:
            return Outcome.GONE
        except (ClientError, *aws.UNREACHABLE) as error:
            logger.warning(failure, to=connection_id, reason=kind_of(error))
            return Outcome.FAILED
        return Outcome.OK
