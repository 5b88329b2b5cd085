"""Which rows there are of a user, and how they are found.

The keys are those of the layer (`shared/chat/messages.py`, `receipts.py`, `connections.py`):

- messages *to* a user: by the index `recipientId-index`. They name the user's chats.
- messages *from* a user: in those chats, each of which is read by its `chatId`. A chat that nobody
  but the user wrote in has no message to the user, so only a scan finds it.
- receipts and idempotency records: by their keys.
- connections: by the user's row, which lists them.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personal_data.deployment import Deployment
from personal_data.rate import Rate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

type Row = dict[str, AttributeValueTypeDef]
"""An item, in DynamoDB's own form: `{"text": {"S": "Hello!"}}`."""

LATEST = 2**53 - 1
"""A time that no message is later than, in milliseconds since 1970."""

_MAX_KEYS = 100  # of a BatchGetItem


@dataclass(frozen=True, slots=True)
class Page:
    """What one call has found.

    Attributes:
        count: How many rows; `rows` is empty where they were only counted.
        scanned: How many rows were read to find these.
        capacity: The units of capacity that the call used.
        cursor: Where the next page begins; none after the last page.
    """

    rows: list[Row]
    count: int
    scanned: int
    capacity: float
    cursor: Row | None


class Rows:
    """The rows of a deployment's tables, read at a limited rate.

    `until`, where a method takes it, is the last time that counts, in milliseconds since 1970.
    `cursor` is that of the page after which to go on.
    """

    def __init__(self, deployment: Deployment, rate: Rate) -> None:
        self._dynamodb = deployment.dynamodb
        self._names = deployment.names
        self._rate = rate

    def received(
        self, user_id: str, *, until: int = LATEST, cursor: Row | None = None
    ) -> Iterator[Page]:
        """Read messages to a user, oldest first. The index lags by a second or so."""
        return self._pages(self._dynamodb.query, cursor, _received(user_id, until))

    def sent(
        self, user_id: str, chat_id: str, *, until: int = LATEST, cursor: Row | None = None
    ) -> Iterator[Page]:
        """Read messages from a user in one chat, oldest first. It takes reading the whole chat."""
        return self._pages(self._dynamodb.query, cursor, _sent(user_id, chat_id, until))

    def chat(self, chat_id: str) -> Iterator[Row]:
        """Read all messages of a chat, oldest first. The read is strongly consistent."""
        query = {
            "KeyConditionExpression": "chatId = :chat",
            "ExpressionAttributeValues": {":chat": {"S": chat_id}},
            "ConsistentRead": True,
        }
        for page in self._pages(self._dynamodb.query, None, query):
            yield from page.rows

    def count(self, user_id: str, chat_id: str | None, *, until: int, expires_after: int) -> int:
        """Count messages from a user in one chat, or, without a chat, all messages to the user.

        Those that expire at `expires_after`, in seconds since 1970, or before do not count.
        """
        query = _received(user_id, until) if chat_id is None else _sent(user_id, chat_id, until)
        filters = [query["FilterExpression"]] if "FilterExpression" in query else []
        query["FilterExpression"] = " AND ".join(
            [*filters, "(attribute_not_exists(#ttl) OR #ttl > :expiresAfter)"]
        )
        query["ExpressionAttributeNames"]["#ttl"] = "ttl"
        query["ExpressionAttributeValues"][":expiresAfter"] = {"N": str(expires_after)}
        pages = self._pages(self._dynamodb.query, None, query | {"Select": "COUNT"})
        return sum(page.count for page in pages)

    def scan(
        self, user_id: str, *, until: int = LATEST, cursor: Row | None = None
    ) -> Iterator[Page]:
        """Read messages to and from a user by reading the whole table."""
        arguments = {
            "FilterExpression": "(senderId = :user OR recipientId = :user)"
            " AND #timestamp <= :until",
            "ExpressionAttributeNames": {"#timestamp": "timestamp"},
            "ExpressionAttributeValues": {":user": {"S": user_id}, ":until": {"N": str(until)}},
        }
        return self._pages(self._dynamodb.scan, cursor, arguments)

    def scan_all(self, *, cursor: Row | None = None) -> Iterator[Page]:
        """Read all rows of the table of messages: messages, receipts and idempotency records."""
        return self._pages(self._dynamodb.scan, cursor, {})

    def receipts(self, user_id: str, chat_ids: Iterable[str]) -> Iterator[Page]:
        """Read a user's receipts in chats. A chat with a receipt has a message."""
        keys = (receipt_key(chat_id, user_id) for chat_id in chat_ids)
        return self._get(self._names.messages_table, keys)

    def connections(self, user_id: str) -> Iterator[Page]:
        """Read a user's row, which lists the connections, then the rows of these."""
        for page in self._get(self._names.connections_table, [_user_key(user_id)]):
            yield page
            for row in page.rows:
                listed = [name for name, value in row.items() if "M" in value]
                keys: list[Row] = [{"connectionId": {"S": each}} for each in sorted(listed)]
                yield from self._get(self._names.connections_table, keys)

    def _pages(
        self,
        call: Callable[..., Mapping[str, Any]],
        cursor: Row | None,
        arguments: Mapping[str, Any],
    ) -> Iterator[Page]:
        while True:
            start = {} if cursor is None else {"ExclusiveStartKey": cursor}
            answer = call(
                TableName=self._names.messages_table,
                ReturnConsumedCapacity="TOTAL",
                **arguments,
                **start,
            )
            capacity = capacity_of(answer)
            cursor = answer.get("LastEvaluatedKey")
            self._rate.spend(capacity)
            rows = answer.get("Items", [])
            yield Page(rows, answer["Count"], answer["ScannedCount"], capacity, cursor)
            if cursor is None:
                return

    def _get(self, table: str, keys: Iterable[Row]) -> Iterator[Page]:
        for batch in itertools.batched(keys, _MAX_KEYS, strict=False):
            wanted: Mapping[str, Any] = {table: {"Keys": batch, "ConsistentRead": True}}
            while wanted:
                answer = self._dynamodb.batch_get_item(
                    RequestItems=wanted, ReturnConsumedCapacity="TOTAL"
                )
                rows = answer["Responses"].get(table, [])
                capacity = capacity_of(answer)
                self._rate.spend(capacity)
                yield Page(rows, len(rows), len(rows), capacity, None)
                wanted = answer["UnprocessedKeys"]


def _received(user_id: str, until: int) -> dict[str, Any]:
    return {
        "IndexName": "recipientId-index",
        "KeyConditionExpression": "recipientId = :user AND #timestamp <= :until",
        # A reserved word of DynamoDB's, as `ttl` is.
        "ExpressionAttributeNames": {"#timestamp": "timestamp"},
        "ExpressionAttributeValues": {":user": {"S": user_id}, ":until": {"N": str(until)}},
    }


def _sent(user_id: str, chat_id: str, until: int) -> dict[str, Any]:
    return {
        "KeyConditionExpression": "chatId = :chat AND #timestamp <= :until",
        "FilterExpression": "senderId = :user",
        "ExpressionAttributeNames": {"#timestamp": "timestamp"},
        "ExpressionAttributeValues": {
            ":chat": {"S": chat_id},
            ":user": {"S": user_id},
            ":until": {"N": str(until)},
        },
    }


def message_key(chat_id: str, timestamp: int) -> Row:
    """Return the key of a message."""
    return {"chatId": {"S": chat_id}, "timestamp": {"N": str(timestamp)}}


def receipt_key(chat_id: str, user_id: str) -> Row:
    """Return the key of a user's receipt in a chat."""
    return {"chatId": {"S": f"{chat_id}#{user_id}"}, "timestamp": {"N": "0"}}


def record_key(chat_id: str, sender_id: str, client_message_id: str) -> Row:
    """Return the key of the idempotency record of a message."""
    return {"chatId": {"S": f"{chat_id}#{sender_id}#{client_message_id}"}, "timestamp": {"N": "0"}}


def _user_key(user_id: str) -> Row:
    return {"connectionId": {"S": f"user#{user_id}"}}


def capacity_of(answer: Mapping[str, Any]) -> float:
    """Return the units that a call has used, by its answer. An emulator may not say it."""
    used: Any = answer.get("ConsumedCapacity", [])
    units: list[float] = [
        each["CapacityUnits"] for each in (used if isinstance(used, list) else [used])
    ]
    return sum(units)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's attributes as the values that JSON has: texts, numbers, objects."""
    return {name: _plain_value(value) for name, value in row.items()}


def _plain_value(value: Mapping[str, Any]) -> Any:
    ((kind, held),) = value.items()
    match kind:
        case "M":
            return plain(held)
        case "N":
            return int(held)
        case _:  # S, BOOL
            return held
