"""The table ``ChatConnections``: which connection belongs to whom."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NewType, Self

from chat import aws, settings
from chat.errors import Unauthorized
from chat.identity import UserId

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient, QueryPaginator

ConnectionId = NewType("ConnectionId", str)

_LIFETIME_S = 24 * 60 * 60
# API Gateway waits for $connect for at most 29 s.
_LONGEST_HANDSHAKE_MS = 30_000
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Connection:
    """A row: one open WebSocket of one user, as far as we know.

    Attributes:
        connected_at: When API Gateway saw the handshake, in milliseconds since 1970.
    """

    connection_id: ConnectionId
    user_id: UserId
    connected_at: int

    def may_be_opening(self, now: int) -> bool:
        """Say whether its handshake may not be over: until it is, API Gateway answers 410.

        Args:
            now: In milliseconds since 1970, by API Gateway's clock: our own may differ.
        """
        return now - self.connected_at < _LONGEST_HANDSHAKE_MS


class Connections:
    """The rows of ``ChatConnections``.

    Every method raises `Unavailable` where DynamoDB is overloaded or out of reach.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        # A connection never changes hands, so a warm container need not ask again. Bounded, because
        # a container outlives its connections; a refusal is an exception and is not remembered.
        self.user_of = lru_cache(_REMEMBERED)(self._user_of)

    @classmethod
    def from_environment(cls) -> Self:
        """Open the deployed table."""
        return cls(aws.dynamodb(), settings.connections_table())

    @cached_property
    def _query(self) -> QueryPaginator:
        # botocore makes a class for each; and two of the functions need none.
        return self._dynamodb.get_paginator("query")

    def add(self, connection: Connection) -> None:
        """Remember a connection for 24 hours, twelve times what API Gateway lets one last."""
        with aws.overload_as_unavailable():
            self._dynamodb.put_item(
                TableName=self._table,
                Item={
                    "connectionId": {"S": connection.connection_id},
                    "userId": {"S": connection.user_id},
                    "connectedAt": {"N": str(connection.connected_at)},
                    "ttl": {"N": str(connection.connected_at // 1000 + _LIFETIME_S)},
                },
            )

    def remove(self, connection_id: ConnectionId) -> None:
        """Forget a connection. One that is not there is forgotten already."""
        with aws.overload_as_unavailable():
            self._dynamodb.delete_item(
                TableName=self._table, Key={"connectionId": {"S": connection_id}}
            )

    def _user_of(self, connection_id: ConnectionId) -> UserId:
        """Tell whose connection it is.

        Raises:
            Unauthorized: No row says so.
        """
        with aws.overload_as_unavailable():
            answer = self._dynamodb.get_item(
                TableName=self._table,
                Key={"connectionId": {"S": connection_id}},
                ProjectionExpression="userId",
                # The row may have been written a moment ago, by on_connect.
                ConsistentRead=True,
            )
        if "Item" not in answer:
            raise Unauthorized("This connection is not known any more. Connect again.")
        return UserId(answer["Item"]["userId"]["S"])

    def of(self, user_id: UserId) -> list[Connection]:
        """List a user's connections, without the expired.

        An index is only eventually consistent, so one that was opened a moment ago may be missing.
        """
        now = time.time()
        with aws.overload_as_unavailable():
            pages = self._query.paginate(
                TableName=self._table,
                IndexName="userId-index",
                KeyConditionExpression="userId = :userId",
                ExpressionAttributeValues={":userId": {"S": user_id}},
            )
            return [
                Connection(
                    connection_id=ConnectionId(row["connectionId"]["S"]),
                    user_id=user_id,
                    connected_at=int(row["connectedAt"]["N"]),
                )
                for page in pages
                for row in page["Items"]
                # DynamoDB deletes expired rows within days, and returns them until then:
                # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ttl-expired-items.html
                if int(row["ttl"]["N"]) > now
            ]
