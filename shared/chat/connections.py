"""The table ``ChatConnections``: the open connections of each user.

It has two kinds of row. One row per connection names its user. One row per user lists the user's
connections, so that a strongly consistent read finds all of them: an index would show a connection
some time after it was registered, and a message sent in between would not be pushed to it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NewType, Self

from chat import aws
from chat.chats import UserId
from chat.errors import Unauthorized, Unavailable
from chat.retry import attempts, deadline_in

ConnectionId = NewType("ConnectionId", str)
type Origin = ConnectionId | None
"""The connection that a frame came on; none where a server sent it."""

_LIFETIME_S = 24 * 60 * 60
# API Gateway waits for $connect for at most 29 s.
_MAX_HANDSHAKE_MS = 30_000
_MAX_CACHED = 1024
# For rows that DynamoDB leaves out of an answer (`UnprocessedKeys`).
_LOOKUP_TIMEOUT_S = 0.5
# No connection id holds a `#`, so no connection has the key of a user.
_USER_KEY = "user#"
# No run of send_message lasts longer: its `Timeout` in the template.
_MAX_CATCH_UP_S = 28
# Of a user's row, the attributes that are not connections. No connection id looks like these.
_KEY_AND_TTL = {"connectionId", "ttl"}


@dataclass(frozen=True, slots=True)
class Connection:
    """One open WebSocket of one user, as far as is known.

    Attributes:
        connected_at: When API Gateway saw the handshake, in milliseconds since 1970.
        expires_at: When its token expires, in seconds since 1970, if it ends with a token.
    """

    connection_id: ConnectionId
    user_id: UserId
    connected_at: int
    expires_at: int | None = None

    def has_expired(self) -> bool:
        """Return whether its token has expired: it then gets nothing, and has to be closed."""
        return self.expires_at is not None and self.expires_at <= time.time()

    def may_be_opening(self, now: int) -> bool:
        """Return whether its handshake may still go on, by API Gateway's clock: `now`, in ms."""
        return now - self.connected_at < _MAX_HANDSHAKE_MS

    @property
    def ttl(self) -> int:
        """When it is forgotten, in seconds since 1970: twelve times what API Gateway allows."""
        return self.connected_at // 1000 + _LIFETIME_S


class Connections:
    """The rows of ``ChatConnections``.

    Every method raises `Unavailable` where DynamoDB is overloaded or out of reach.
    """

    def __init__(self, dynamodb: aws.DynamoDB, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        # What is read of a row never changes, so that a warm container need not ask again. Bounded,
        # because a container outlives its connections. A refusal is an exception, not cached.
        self._cached = lru_cache(_MAX_CACHED)(self.read)

    @classmethod
    def from_environment(cls) -> Self:
        """Open the deployed table."""
        return cls(aws.dynamodb(), os.environ["CONNECTIONS_TABLE"])

    @aws.overload_as_unavailable()
    def add(self, connection: Connection) -> list[Connection]:
        """Register a connection for 24 hours; return its user's connections, oldest first.

        Of two connections that are registered at once the second sees the first.
        """
        *_, row = aws.in_parallel(
            [partial(self._put_row, connection), partial(self._add_to_user, connection)]
        )
        found = sorted(_connections_in(row), key=lambda each: each.connected_at)
        # The user's row expires with the last connection in it, so stale ones are removed here:
        # their number would grow with every end that API Gateway did not report.
        stale = [each for each in found if each != connection and _is_stale(each)]
        if stale:
            self._remove_from_user(connection.user_id, stale)
        return [each for each in found if each not in stale]

    @aws.overload_as_unavailable()
    def remove(self, connection_id: ConnectionId, user_id: UserId | None = None) -> None:
        """Forget a connection. One that is not there is forgotten already.

        Without `user_id` its row names the user, if no earlier attempt removed that row.
        """
        key: aws.Row = {"connectionId": {"S": connection_id}}
        answer = self._dynamodb.delete_item(TableName=self._table, Key=key, ReturnValues="ALL_OLD")
        if user_id is None and "Attributes" in answer:
            user_id = UserId(answer["Attributes"]["userId"]["S"])
        if user_id is not None:
            self._remove_from_user(user_id, [Connection(connection_id, user_id, 0)])

    @aws.overload_as_unavailable()
    def read(self, connection_id: ConnectionId) -> Connection:
        """Return a connection that is registered now, expired or not."""
        answer = self._dynamodb.get_item(
            TableName=self._table,
            Key={"connectionId": {"S": connection_id}},
            ProjectionExpression="userId, connectedAt, expiresAt",
            # The row may have been written a moment ago, by on_connect.
            ConsistentRead=True,
        )
        if "Item" not in answer:
            raise Unauthorized("This connection is not known any more. Connect again.")
        row = answer["Item"]
        return Connection(connection_id, UserId(row["userId"]["S"]), *_times_in(row))

    def get(self, connection_id: ConnectionId) -> Connection:
        """Return a connection.

        Raises:
            Unauthorized: It is not registered, or its token has expired.
        """
        connection = self._cached(connection_id)
        if connection.has_expired():
            raise Unauthorized("Your token has expired. Connect again with a new one.")
        return connection

    @contextmanager
    def catching_up(self, connection_id: ConnectionId, request_id: str) -> Iterator[None]:
        """Mark a connection as catching up, until the block ends, or no run of it can go on.

        The same request may mark it again: an earlier attempt may have ended without a word.

        Raises:
            Unauthorized: The connection is not registered.
            Unavailable: Another request of the connection is catching up.
        """
        update = partial(
            aws.overload_as_unavailable()(self._dynamodb.update_item),
            TableName=self._table,
            Key={"connectionId": {"S": connection_id}},
        )
        refusal = self._dynamodb.exceptions.ConditionalCheckFailedException
        now, own = int(time.time()), {":id": {"S": request_id}}
        times = {":now": {"N": str(now)}, ":until": {"N": str(now + _MAX_CATCH_UP_S)}}
        try:
            update(
                UpdateExpression="SET catchUpId = :id, catchUpUntil = :until",
                ConditionExpression="attribute_exists(connectionId) AND "
                "(attribute_not_exists(catchUpId) OR catchUpId = :id OR catchUpUntil < :now)",
                ExpressionAttributeValues=own | times,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except refusal as error:
            if "Item" not in error.response:
                raise Unauthorized("This connection was closed. Connect again.") from None
            raise Unavailable("A catch-up of this connection is running: wait for it.") from None
        try:
            yield
        finally:
            if not isinstance(sys.exception(), Unauthorized):  # else its row is removed
                with suppress(Unavailable, refusal):
                    update(
                        UpdateExpression="REMOVE catchUpId, catchUpUntil",
                        ConditionExpression="catchUpId = :id",
                        ExpressionAttributeValues=own,
                    )

    def of(self, *user_ids: UserId) -> Iterator[Connection]:
        """Read the connections of users, without the stale ones.

        The read is strongly consistent: it finds every connection that was registered before.

        Raises:
            Unavailable: As every method does. May come after the first connections.
        """
        wanted: Mapping[str, Any] = {
            self._table: {"Keys": [_user_key(each) for each in user_ids], "ConsistentRead": True}
        }
        for _ in attempts(deadline_in(_LOOKUP_TIMEOUT_S)):
            with aws.overload_as_unavailable():
                answer = self._dynamodb.batch_get_item(RequestItems=wanted)
            for row in answer["Responses"].get(self._table, []):
                yield from (each for each in _connections_in(row) if not _is_stale(each))
            # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
            wanted = answer["UnprocessedKeys"]
            if not wanted:
                return
        raise Unavailable(aws.TRY_AGAIN)

    def _put_row(self, connection: Connection) -> Mapping[str, Any]:
        self._dynamodb.put_item(
            TableName=self._table,
            Item={
                "connectionId": {"S": connection.connection_id},
                "userId": {"S": connection.user_id},
                **_times_of(connection),
                "ttl": {"N": str(connection.ttl)},
            },
        )
        return {}

    def _add_to_user(self, connection: Connection) -> Mapping[str, Any]:
        """Add a connection to its user's row; return the row as it is then."""
        answer = self._dynamodb.update_item(
            TableName=self._table,
            Key=_user_key(connection.user_id),
            UpdateExpression="SET #id = :times, #ttl = :ttl",
            ExpressionAttributeNames={"#id": connection.connection_id, "#ttl": "ttl"},
            ExpressionAttributeValues={
                ":times": {"M": _times_of(connection)},
                ":ttl": {"N": str(connection.ttl)},
            },
            ReturnValues="ALL_NEW",
        )
        return answer["Attributes"]

    def _remove_from_user(self, user_id: UserId, connections: list[Connection]) -> None:
        names = {f"#id{n}": each.connection_id for n, each in enumerate(connections)}
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._table,
                Key=_user_key(user_id),
                UpdateExpression="REMOVE " + ", ".join(names),
                # An update makes a row that is not there, and this one would never expire.
                ConditionExpression="attribute_exists(connectionId)",
                ExpressionAttributeNames=names,
            )


def _user_key(user_id: UserId) -> aws.Row:
    return {"connectionId": {"S": f"{_USER_KEY}{user_id}"}}


def _times_of(connection: Connection) -> aws.Row:
    times = {"connectedAt": connection.connected_at, "expiresAt": connection.expires_at}
    return {name: {"N": str(time)} for name, time in times.items() if time is not None}


def _times_in(row: Mapping[str, Any]) -> tuple[int, int | None]:
    return int(row["connectedAt"]["N"]), int(row["expiresAt"]["N"]) if "expiresAt" in row else None


def _connections_in(row: Mapping[str, Any]) -> Iterator[Connection]:
    user_id = UserId(row["connectionId"]["S"].removeprefix(_USER_KEY))
    for name in row.keys() - _KEY_AND_TTL:
        yield Connection(ConnectionId(name), user_id, *_times_in(row[name]["M"]))


def _is_stale(connection: Connection) -> bool:
    # DynamoDB deletes expired rows within days, and returns them until then: chat/retention.py.
    return connection.ttl <= time.time()
