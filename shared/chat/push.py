"""One frame to one connection, through the API Gateway Management API."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError, HTTPClientError

from chat import aws
from chat.connections import ConnectionId
from chat.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient


class Outcome(Enum):
    """What became of a push."""

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

    def post(self, connection_id: ConnectionId, data: bytes) -> Outcome:
        """Send one frame. Never raises for what the network or the other end did.

        Args:
            connection_id: Where to.
            data: The frame, at most 128 KB.
        """
        try:
            self._management_api.post_to_connection(ConnectionId=connection_id, Data=data)
        except self._management_api.exceptions.GoneException:
            return Outcome.GONE
        except (ClientError, HTTPClientError) as error:
            logger.warning("push failed", to=connection_id, reason=type(error).__name__)
            return Outcome.FAILED
        return Outcome.REACHED
