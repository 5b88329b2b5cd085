"""One frame to one connection, or its end, through the API Gateway Management API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError

from chat import aws
from chat.connections import ConnectionId
from chat.telemetry import kind_of, logger

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient


class Outcome(Enum):
    """What became of a push, or of a close."""

    REACHED = auto()
    GONE = auto()
    """410: there is no such connection, or its handshake is not over yet."""
    FAILED = auto()
    """Anything else, after botocore tried again."""


def pauses_s(*, most: float) -> Iterator[float]:
    """Give the pauses between attempts, in seconds: 0.05, and each double the one before.

    Args:
        most: What they may come to, all together.
    """
    pause = 0.05
    while pause <= most:
        yield pause
        most -= pause
        pause *= 2


class Push:
    """The way to clients that did not ask."""

    def __init__(self, management_api: ApiGatewayManagementApiClient) -> None:
        self._management_api = management_api

    @classmethod
    def from_environment(cls) -> Self:
        """Use the deployed API."""
        return cls(aws.management_api())

    def post(self, connection_id: ConnectionId, data: bytes) -> Outcome:
        """Send one frame. Never raises for what the network or the other end did.

        Args:
            connection_id: Where to.
            data: The frame, at most 128 KB.
        """
        return self._attempt(
            "push failed",
            connection_id,
            lambda: self._management_api.post_to_connection(ConnectionId=connection_id, Data=data),
        )

    def close(self, connection_id: ConnectionId) -> Outcome:
        """End a connection. Never raises for what the network or the other end did."""
        return self._attempt(
            "close failed",
            connection_id,
            lambda: self._management_api.delete_connection(ConnectionId=connection_id),
        )

    def _attempt(
        self, failure: str, connection_id: ConnectionId, call: Callable[[], object]
    ) -> Outcome:
        try:
            call()
        except self._management_api.exceptions.GoneException:
            return Outcome.GONE
        except (ClientError, *aws.UNREACHABLE) as error:
            logger.warning(failure, to=connection_id, reason=kind_of(error))
            return Outcome.FAILED
        return Outcome.REACHED

    def post_while_opening(
        self, connection_id: ConnectionId, data: bytes, *, patience_s: float
    ) -> Outcome:
        """Send one frame to a connection whose handshake may not be over yet.

        Until $connect has returned API Gateway answers 410, as for one that is gone:
        https://repost.aws/knowledge-center/410-gone-api-gateway

        Args:
            connection_id: Where to.
            data: The frame, at most 128 KB.
            patience_s: For how long a 410 is not believed, in seconds.
        """
        outcome = self.post(connection_id, data)
        for pause in pauses_s(most=patience_s):
            if outcome is not Outcome.GONE:
                break
            time.sleep(pause)
            outcome = self.post(connection_id, data)
        return outcome
