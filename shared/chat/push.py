"""Push a frame to a connection, or close it, through the API Gateway Management API."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError

from chat import aws
from chat.connections import ConnectionId
from chat.retry import attempts, deadline_in
from chat.telemetry import kind_of, logger

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient


class Outcome(Enum):
    """The result of a push, or of a close."""

    OK = auto()
    GONE = auto()
    """410: there is no such connection, or its handshake is not over yet."""
    FAILED = auto()
    """Anything else, after botocore tried again."""


class Push:
    """Pushes frames to connections, and closes them."""

    def __init__(self, management_api: ApiGatewayManagementApiClient) -> None:
        self._management_api = management_api

    @classmethod
    def from_environment(cls) -> Self:
        """Use the deployed API."""
        return cls(aws.management_api())

    def post(
        self, connection_id: ConnectionId, data: bytes, *, opening_timeout_s: float = 0
    ) -> Outcome:
        """Push one frame. Never raise for what the network or the client did.

        Args:
            connection_id: Where to.
            data: The frame, at most 128 KB.
            opening_timeout_s: For how many seconds a 410 is tried again. Until $connect has
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
        """Close a connection. Never raise for what the network or the client did."""
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
        for _ in attempts(deadline_in(opening_timeout_s)):
            try:
                call()
            except self._management_api.exceptions.GoneException:
                continue
            except (ClientError, *aws.UNREACHABLE) as error:
                logger.warning(failure, to=connection_id, reason=kind_of(error))
                return Outcome.FAILED
            else:
                return Outcome.OK
        return Outcome.GONE
