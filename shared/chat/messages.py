"""Messages, and the table ``ChatMessages``."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import uuid4

from chat import aws
from chat.chats import Chat, UserId
from chat.client_frame import MAX_TIMESTAMP, ClientFrame, is_blank
from chat.errors import InvalidRequest, Unavailable
from chat.file_keys import File, key_in
from chat.retention import has_expired, oldest_kept, ttl_of
from chat.retry import attempts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import PutTypeDef

_MAX_TEXT_LENGTH = 4096
_MAX_CONFLICTS = 8
_MAX_STEP_MS = 1000
_PAGE_SIZE = 500

STORE_TIMEOUT_S = 2.0
"""For how long storing a message is tried again, in seconds, the look at its file included.

Not longer, because the frames of one chat, whose key alone is throttled, would otherwise occupy
containers that the others need.
"""

# Reasons for which a transaction is cancelled that would succeed a moment later:
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_TRANSIENT = {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}
# Reasons for which it is cancelled where another message has the same key, or may get it.
_KEY_CONFLICT = {"ConditionalCheckFailed", "TransactionConflict"}


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is stored.

    Attributes:
        timestamp: When API Gateway received it, in milliseconds since 1970, moved ahead where that
            was taken: unique within its chat.
        text: What it says, if it says anything.
        file: Its file, if it has one.
        client_message_id: The sender's own id of it, where the sender gave one.
        erased: The operator erased its text and its file.
    """

    message_id: str
    chat_id: str
    sender_id: UserId
    recipient_id: UserId
    timestamp: int
    text: str | None
    file: File | None = None
    client_message_id: str | None = None
    erased: bool = False

    @classmethod
    def from_frame(
        cls,
        frame: ClientFrame,
        *,
        sender_id: UserId,
        received_at: int,
        retain: Callable[[str], File],
    ) -> Self:
        """Read a ``sendmessage`` frame. It has no say in who the sender is.

        `retain` is called last: it finds the file with a key, as `Files.retain` does.

        Raises:
            InvalidRequest: A field is missing or not of the agreed form.
            Forbidden: The sender is not in the chat, or the file is not the chat's.
            NotFound: There cannot be a file with that key.
        """
        chat = Chat.from_frame(frame)
        recipient_id = chat.partner_of(sender_id)
        text = frame.optional_string("text", max_length=_MAX_TEXT_LENGTH)
        file_key = key_in(frame, chat) if frame.has("fileKey") else None
        if text is None and file_key is None:
            raise InvalidRequest("A message needs `text`, `fileKey`, or both.")
        if text is not None and is_blank(text):
            raise InvalidRequest("`text` must not be blank.")
        client_message_id = frame.client_message_id
        return cls(
            message_id=str(uuid4()),
            chat_id=chat.id,
            sender_id=sender_id,
            recipient_id=recipient_id,
            timestamp=received_at,
            text=text,
            file=retain(file_key) if file_key is not None else None,
            client_message_id=client_message_id,
        )


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message that is in the table.

    Attributes:
        duplicate: It was there already: what was sent is a resend of it.
    """

    message: Message
    duplicate: bool = False


class MessagesTable:
    """The table; each method raises `Unavailable` where DynamoDB is overloaded or out of reach."""

    def __init__(self, dynamodb: aws.DynamoDB, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    @classmethod
    def from_environment(cls) -> Self:
        """Open the deployed table."""
        return cls(aws.dynamodb(), os.environ["MESSAGES_TABLE"])


class Messages(MessagesTable):
    """The rows of ``ChatMessages`` that hold messages, and their idempotency records."""

    def store(self, message: Message, *, began_at: float) -> StoredMessage:
        """Write a message at a free key, and return it with the timestamp that it got.

        Two messages of a chat that arrive in one millisecond want the same key; the later one jumps
        ahead by a random step, which grows with each conflict, so that each of many that arrive at
        once soon finds a free millisecond. A message with a `client_message_id` is written at most
        once: a resend returns the original. `began_at`, on `time.monotonic`'s clock, is when the
        work on the message began.

        Raises:
            Unavailable: DynamoDB could not be used for `STORE_TIMEOUT_S`, or the chat is too busy.
        """
        write = self._put if message.client_message_id is None else self._put_once
        conflicts = 0
        for _ in attempts(began_at + STORE_TIMEOUT_S):
            try:
                while conflicts <= _MAX_CONFLICTS:
                    if stored := write(message):
                        return stored
                    conflicts += 1
                    step = random.randint(1, min(10**conflicts, _MAX_STEP_MS))  # noqa: S311 -- no secret
                    message = replace(message, timestamp=message.timestamp + step)
                failure = Unavailable("This chat is very busy. Send the same again in a moment.")
                break
            except Unavailable as error:
                failure = error
        raise failure

    def sent_to(self, user_id: UserId, *, since: int) -> Iterator[Message]:
        """Read messages to a user, oldest first, from `since` on (in milliseconds since 1970).

        Raises:
            Unavailable: As every method does. May come after the first messages.
        """
        since = max(since, oldest_kept())
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="recipientId-index",
            # `timestamp` is a reserved word of DynamoDB's.
            KeyConditionExpression="recipientId = :userId AND #timestamp >= :since",
            ExpressionAttributeNames={"#timestamp": "timestamp"},
            ExpressionAttributeValues={":userId": {"S": user_id}, ":since": {"N": str(since)}},
            PaginationConfig={"PageSize": _PAGE_SIZE},
        )
        with aws.overload_as_unavailable():
            for page in pages:
                yield from (_from_item(item) for item in page["Items"] if not has_expired(item))

    @aws.overload_as_unavailable()
    def page(self, chat_id: str, *, before: int | None, limit: int) -> list[Message]:
        """Read a chat's messages before a time in milliseconds since 1970, or the newest.

        They come newest first. The read is strongly consistent. Fewer than `limit` come where they
        exceed 1 MB: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
        """
        end = MAX_TIMESTAMP if before is None else before
        answer = self._dynamodb.query(
            TableName=self._table,
            KeyConditionExpression="chatId = :chatId AND #timestamp < :end",
            ExpressionAttributeNames={"#timestamp": "timestamp"},
            ExpressionAttributeValues={":chatId": {"S": chat_id}, ":end": {"N": str(end)}},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit,
        )
        rows = [item for item in answer["Items"] if not has_expired(item)]
        found = [each for each in map(_from_item, rows) if each.timestamp >= oldest_kept()]
        last = answer.get("LastEvaluatedKey")
        if last and len(rows) < answer["Count"] and len(found) < limit:  # Fill the gaps.
            end = int(last["timestamp"]["N"])
            found += self.page(chat_id, before=end, limit=_PAGE_SIZE) if end > oldest_kept() else []
        return found[:limit]

    @aws.overload_as_unavailable()
    def _put(self, message: Message) -> StoredMessage | None:
        """Write a message; none if its key is taken."""
        try:
            self._dynamodb.put_item(**self._new(_to_item(message), message))
        except self._dynamodb.exceptions.ConditionalCheckFailedException as taken:
            # The stubs do not know of the row that ALL_OLD asks for.
            existing = cast("dict[str, Any]", taken.response)["Item"]
            # An attempt whose answer was lost on its way may have written the row all the same.
            is_ours = existing["messageId"]["S"] == message.message_id
            return StoredMessage(message) if is_ours else None
        return StoredMessage(message)

    @aws.overload_as_unavailable()
    def _put_once(self, message: Message) -> StoredMessage | None:
        """Write a message and its idempotency record; none if its key is taken."""
        rows = (_to_item(message), _to_record(message))
        try:
            self._dynamodb.transact_write_items(
                TransactItems=[{"Put": self._new(row, message)} for row in rows]
            )
        except self._dynamodb.exceptions.TransactionCanceledException as cancelled:
            for_message, for_record = cancelled.response["CancellationReasons"]
            if for_record["Code"] == "ConditionalCheckFailed":
                return self._original(message, for_record["Item"])
            if for_record["Code"] == "None" and for_message["Code"] in _KEY_CONFLICT:
                return None
            if {for_message["Code"], for_record["Code"]} & _TRANSIENT:
                raise Unavailable(aws.TRY_AGAIN) from cancelled
            raise
        return StoredMessage(message)

    def _new(self, row: aws.Row, message: Message) -> PutTypeDef:
        """Return how to write a row of a message, if none with its key is kept."""
        times = {":now": int(time.time()), ":oldest": oldest_kept()}
        return {
            "TableName": self._table,
            "Item": row | ttl_of(message.timestamp),
            # The first tests the whole key, chat and timestamp; the last, records without `ttl`.
            "ConditionExpression": (
                "attribute_not_exists(chatId) OR #ttl <= :now OR messageTimestamp < :oldest"
            ),
            "ExpressionAttributeNames": {"#ttl": "ttl"},
            "ExpressionAttributeValues": {name: {"N": str(each)} for name, each in times.items()},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    @aws.overload_as_unavailable()
    def _original(self, message: Message, record: Mapping[str, Any]) -> StoredMessage:
        """Read the message that was stored when this one was sent first."""
        timestamp = int(record["messageTimestamp"]["N"])
        if record["messageId"]["S"] == message.message_id:
            # That was us, a moment ago: the answer was lost on its way.
            return StoredMessage(replace(message, timestamp=timestamp))
        answer = self._dynamodb.get_item(
            TableName=self._table, Key=_key(message.chat_id, timestamp), ConsistentRead=True
        )
        return StoredMessage(_from_item(answer["Item"]), duplicate=True)


def _key(chat_id: str, timestamp: int) -> aws.Row:
    """Return the key of a row of ``ChatMessages``."""
    return {"chatId": {"S": chat_id}, "timestamp": {"N": str(timestamp)}}


def _to_record(message: Message) -> aws.Row:
    """Return the idempotency record of a message.

    A chat's id holds one ``#``, this one three or more, so that no chat has it. User ids hold none,
    so that no two of sender, chat and client's id share one.
    """
    key = f"{message.chat_id}#{message.sender_id}#{message.client_message_id}"
    return {
        **_key(key, 0),
        "messageId": {"S": message.message_id},
        "messageTimestamp": {"N": str(message.timestamp)},
    }


def _to_item(message: Message) -> aws.Row:
    item: aws.Row = {
        **_key(message.chat_id, message.timestamp),
        "messageId": {"S": message.message_id},
        "senderId": {"S": message.sender_id},
        "recipientId": {"S": message.recipient_id},
    }
    if message.client_message_id is not None:
        item["clientMessageId"] = {"S": message.client_message_id}
    if message.text is not None:
        item["text"] = {"S": message.text}
    if message.file is not None:
        item["fileKey"] = {"S": message.file.key}
        item["fileName"] = {"S": message.file.name}
        item["contentType"] = {"S": message.file.content_type}
        item["size"] = {"N": str(message.file.size)}
    return item


def _from_item(item: Mapping[str, Any]) -> Message:
    file = None
    if "fileKey" in item:
        file = File(item["fileKey"]["S"], item["contentType"]["S"], int(item["size"]["N"]))
    return Message(
        message_id=item["messageId"]["S"],
        chat_id=item["chatId"]["S"],
        sender_id=UserId(item["senderId"]["S"]),
        recipient_id=UserId(item["recipientId"]["S"]),
        timestamp=int(item["timestamp"]["N"]),
        text=item["text"]["S"] if "text" in item else None,
        file=file,
        client_message_id=item["clientMessageId"]["S"] if "clientMessageId" in item else None,
        erased="erased" in item,
    )
