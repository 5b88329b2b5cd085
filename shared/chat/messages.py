"""A message, and the table ``ChatMessages``."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import uuid4

from chat import aws, settings
from chat.chats import Chat
from chat.errors import InvalidRequest, Unavailable
from chat.file_keys import key_in
from chat.files import File
from chat.frames import Frame
from chat.identity import UserId
from chat.retry import backoff_s

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_LONGEST_TEXT = 4096
_MAX_CLASHES = 8
_MAX_STEP_MS = 1000
_PAGE_SIZE = 100

STORE_TIMEOUT_S = 2.0
"""For how long storing a message is tried again, in seconds, the look at its file included.

Not longer, because the frames of one chat, whose key alone is throttled, would otherwise occupy
containers that the others need.
"""

# What a transaction is cancelled for that would go through a moment later:
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_PASSING = {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}
# What it is cancelled for where another message wants the same key, and has it or may get it.
_KEY_CONFLICT = {"ConditionalCheckFailed", "TransactionConflict"}


@dataclass(frozen=True, slots=True)
class Message:
    """What one user said to another.

    Attributes:
        timestamp: When API Gateway received it, in milliseconds since 1970; unique within its chat.
        text: What it says, if it says anything.
        file_key: The key of the file that goes with it, if one does.
        file: That file, once it was found to be there. A stored message has it wherever it has the
            key.
        client_message_id: The sender's own id of it, where the sender gave one. It is not stored
            with the message.
    """

    message_id: str
    chat_id: str
    sender_id: UserId
    recipient_id: UserId
    timestamp: int
    text: str | None
    file_key: str | None
    file: File | None = None
    client_message_id: str | None = None

    @classmethod
    def draft(cls, frame: Frame, *, sender_id: UserId, received_at: int) -> Self:
        """Make a message out of a ``sendmessage`` frame.

        Args:
            frame: What the client sent.
            sender_id: Whose connection it came from. The frame has no say in it.
            received_at: When, in milliseconds since 1970.

        Raises:
            InvalidRequest: A field is missing or not of the agreed form.
            Forbidden: The sender is not in the chat, or the file is not the chat's.
            NotFound: There cannot be a file with that key.
        """
        chat = Chat.named_in(frame)
        recipient_id = chat.partner_of(sender_id)
        text = frame.optional_string("text", longest=_LONGEST_TEXT)
        file_key = key_in(frame, chat) if frame.has("fileKey") else None
        if text is None and file_key is None:
            raise InvalidRequest("A message needs `text`, `fileKey`, or both.")
        if text is not None and not text.strip():
            raise InvalidRequest("`text` must not be blank.")
        return cls(
            message_id=str(uuid4()),
            chat_id=chat.id,
            sender_id=sender_id,
            recipient_id=recipient_id,
            timestamp=received_at,
            text=text,
            file_key=file_key,
            client_message_id=frame.client_message_id,
        )

    def as_frame(self, link: Callable[[File], str]) -> dict[str, object]:
        """Give the ``message`` frame that both sides' devices receive.

        Args:
            link: Signs a link to a file, which is only good for minutes: each frame needs its own.
        """
        frame: dict[str, object] = {
            "type": "message",
            "messageId": self.message_id,
            "chatId": self.chat_id,
            "senderId": self.sender_id,
            "recipientId": self.recipient_id,
            "timestamp": self.timestamp,
        }
        if self.text is not None:
            frame["text"] = self.text
        if self.file is not None:
            frame |= self.file.as_fields() | {"fileUrl": link(self.file)}
        return frame


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that is in the table.

    Attributes:
        duplicate: It was there already: what was sent is a resend of it.
    """

    message: Message
    duplicate: bool = False


class Messages:
    """The rows of ``ChatMessages``."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    @classmethod
    def from_environment(cls) -> Self:
        """Open the deployed table."""
        return cls(aws.dynamodb(), settings.messages_table())

    def store(self, message: Message, *, began_at: float) -> Stored:
        """Write a message where nothing is yet, and return it with the timestamp that it got.

        Two messages of a chat that arrive in one millisecond want the same key; the later one jumps
        ahead by a random step, which grows with each conflict, so that many that arrive at once
        soon find a free millisecond each. One with a `client_message_id` is written at most once: a
        resend finds the first.

        Args:
            message: What to write.
            began_at: When the work on it began, on `time.monotonic`'s clock.

        Raises:
            Unavailable: DynamoDB is overloaded or out of reach, and was so for `STORE_TIMEOUT_S`,
                or the chat is too busy.
        """
        pauses = backoff_s(began_at + STORE_TIMEOUT_S)
        write = self._put if message.client_message_id is None else self._put_once
        clashes = 0
        while clashes <= _MAX_CLASHES:
            try:
                stored = write(message)
            except Unavailable:
                if (pause := next(pauses, None)) is None:
                    raise
                time.sleep(pause)
                continue
            if stored:
                return stored
            clashes += 1
            step = random.randint(1, min(10**clashes, _MAX_STEP_MS))  # noqa: S311 -- no secret
            message = replace(message, timestamp=message.timestamp + step)
        raise Unavailable("This chat is very busy. Send the same again in a moment.")

    def sent_to(self, user_id: UserId, *, since: int) -> Iterator[Message]:
        """Read a user's messages, oldest first, page by page.

        Args:
            user_id: Their recipient.
            since: The first millisecond of interest, since 1970.

        Raises:
            Unavailable: DynamoDB is overloaded or out of reach. May come after the first messages.
        """
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
                yield from map(_from_item, page["Items"])

    def _put(self, message: Message) -> Stored | None:
        """Write a message; none if its key is taken."""
        try:
            with aws.overload_as_unavailable():
                self._dynamodb.put_item(
                    TableName=self._table,
                    Item=_to_item(message),
                    # Tests the whole key, chat and timestamp.
                    ConditionExpression="attribute_not_exists(chatId)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as taken:
            # The stubs do not know of the row that ALL_OLD asks for.
            in_the_way = cast("dict[str, Any]", taken.response)["Item"]
            # An attempt whose answer was lost on its way may have written the row all the same.
            is_ours = in_the_way["messageId"]["S"] == message.message_id
            return Stored(message) if is_ours else None
        return Stored(message)

    def _put_once(self, message: Message) -> Stored | None:
        """Write a message together with the mark of its sender's id; none if its key is taken."""
        mark: dict[str, AttributeValueTypeDef] = {
            **_mark_key(message),
            "messageId": {"S": message.message_id},
            "messageTimestamp": {"N": str(message.timestamp)},
        }
        try:
            with aws.overload_as_unavailable():
                self._dynamodb.transact_write_items(
                    TransactItems=[
                        {
                            "Put": {
                                "TableName": self._table,
                                "Item": item,
                                "ConditionExpression": "attribute_not_exists(chatId)",
                                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                            }
                        }
                        for item in (_to_item(message), mark)
                    ]
                )
        except self._dynamodb.exceptions.TransactionCanceledException as cancelled:
            for_message, for_mark = cancelled.response["CancellationReasons"]
            if for_mark["Code"] == "ConditionalCheckFailed":
                return self._first(message, for_mark["Item"])
            if for_mark["Code"] == "None" and for_message["Code"] in _KEY_CONFLICT:
                return None
            if {for_message["Code"], for_mark["Code"]} & _PASSING:
                raise Unavailable(aws.TRY_AGAIN) from cancelled
            raise
        return Stored(message)

    def _first(self, message: Message, mark: Mapping[str, Any]) -> Stored:
        """Find what was stored when this message was sent first."""
        timestamp = int(mark["messageTimestamp"]["N"])
        if mark["messageId"]["S"] == message.message_id:
            # That was us, a moment ago: the answer was lost on its way.
            return Stored(replace(message, timestamp=timestamp))
        with aws.overload_as_unavailable():
            answer = self._dynamodb.get_item(
                TableName=self._table,
                Key={"chatId": {"S": message.chat_id}, "timestamp": {"N": str(timestamp)}},
                ConsistentRead=True,
            )
        first = _from_item(answer["Item"])
        return Stored(replace(first, client_message_id=message.client_message_id), duplicate=True)


def _mark_key(message: Message) -> dict[str, AttributeValueTypeDef]:
    """Give the key that one sender's id of a message has in one chat.

    A chat's id holds one ``#``, this one three or more, so no chat has it; and as user ids hold
    none, no two senders, chats and ids have the same.
    """
    mark = f"{message.chat_id}#{message.sender_id}#{message.client_message_id}"
    return {"chatId": {"S": mark}, "timestamp": {"N": "0"}}


def _to_item(message: Message) -> dict[str, AttributeValueTypeDef]:
    item: dict[str, AttributeValueTypeDef] = {
        "chatId": {"S": message.chat_id},
        "timestamp": {"N": str(message.timestamp)},
        "messageId": {"S": message.message_id},
        "senderId": {"S": message.sender_id},
        "recipientId": {"S": message.recipient_id},
    }
    if message.text is not None:
        item["text"] = {"S": message.text}
    if message.file is not None:
        item["fileKey"] = {"S": message.file.key}
        item["fileName"] = {"S": message.file.name}
        item["contentType"] = {"S": message.file.content_type}
        item["size"] = {"N": str(message.file.size)}
    return item


def _from_item(item: Mapping[str, Any]) -> Message:
    file = _file_in(item)
    return Message(
        message_id=item["messageId"]["S"],
        chat_id=item["chatId"]["S"],
        sender_id=UserId(item["senderId"]["S"]),
        recipient_id=UserId(item["recipientId"]["S"]),
        timestamp=int(item["timestamp"]["N"]),
        text=item["text"]["S"] if "text" in item else None,
        file_key=file.key if file else None,
        file=file,
    )


def _file_in(item: Mapping[str, Any]) -> File | None:
    if "fileKey" not in item:
        return None
    return File(item["fileKey"]["S"], item["contentType"]["S"], int(item["size"]["N"]))
