"""One frame to one connection, or its end, through the API Gateway Management API."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError

from chat import aws
from chat.connections import ConnectionId
from chat.retry import backoff_s, deadline_in
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


class Push:
    """The way to clients that did not ask."""

    def __init__(self, management_api: ApiGatewayManagementApiClient) -> None:
        self._management_api = management_api

    @classmethod
    def from_environment(cls) -> Self:
        """Use the deployed API."""
        return cls(aws.management_api())

    def post(
        self, connection_id: ConnectionId, data: bytes, *, opening_timeout_s: float = 0
    ) -> Outcome:
        """Send one frame. Never raises for what the network or the other end did.

        Args:
            connection_id: Where to.
            data: The frame, at most 128 KB.
            opening_timeout_s: For how long a 410 is not believed, in seconds. Until $connect has
                returned API Gateway answers 410, as for a connection that is gone:
                https://repost.aws/knowledge-center/410-gone-api-gateway
        """
        return self._attempt(
            "push failed",
            connection_id,
            lambda: self._management_api.post_to_connection(ConnectionId=connection_id, Data=data),
            opening_timeout_s,
        )

    def close(self, connection_id: ConnectionId) -> Outcome:
        """End a connection. Never raises for what the network or the other end did."""
        return self._attempt(
            "close failed",
            connection_id,
            lambda: self._management_api.delete_connection(ConnectionId=connection_id),
        )

    def _attempt(
        self,
        failure: str,
        connection_id: ConnectionId,
        call: Callable[[], object],
        opening_timeout_s: float = 0,
    ) -> Outcome:
        pauses = backoff_s(deadline_in(opening_timeout_s))
        while True:
            try:
                call()
            except self._management_api.exceptions.GoneException:
                if (pause := next(pauses, None)) is None:
                    return Outcome.GONE
                time.sleep(pause)
            except (ClientError, *aws.UNREACHABLE) as error:
                logger.warning(failure, to=connection_id, reason=kind_of(error))
                return Outcome.FAILED
            else:
                return Outcome.REACHED
