"""A message, and the table ``ChatMessages``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import uuid4

from chat import aws, settings
from chat.chats import Chat
from chat.errors import Forbidden, InvalidRequest, Unavailable
from chat.frames import Frame
from chat.identity import UserId

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_LONGEST_TEXT = 4096
_LONGEST_FILE_KEY = 1024
_MOST_CLASHES = 50


@dataclass(frozen=True, slots=True)
class Message:
    """What one user said to another.

    Attributes:
        timestamp: When API Gateway received it, in milliseconds since 1970; unique within its chat.
        text: What it says, if it says anything.
        file_key: The key of the file that goes with it, if one does.
    """

    message_id: str
    chat_id: str
    sender_id: UserId
    recipient_id: UserId
    timestamp: int
    text: str | None
    file_key: str | None

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
        """
        chat = Chat.named_in(frame)
        recipient_id = chat.partner_of(sender_id)
        text = frame.optional_string("text", longest=_LONGEST_TEXT)
        file_key = frame.optional_string("fileKey", longest=_LONGEST_FILE_KEY)
        if text is None and file_key is None:
            raise InvalidRequest("A message needs `text`, `fileKey`, or both.")
        if text is not None and not text.strip():
            raise InvalidRequest("`text` must not be blank.")
        if file_key is not None and not file_key.startswith(f"{chat.id}/"):
            raise Forbidden("`fileKey` must be of a file in this chat, as `sendfile` gave it.")
        return cls(
            message_id=str(uuid4()),
            chat_id=chat.id,
            sender_id=sender_id,
            recipient_id=recipient_id,
            timestamp=received_at,
            text=text,
            file_key=file_key,
        )

    def as_frame(self) -> dict[str, object]:
        """Give the ``message`` frame that both sides' devices receive."""
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
        if self.file_key is not None:
            frame["fileKey"] = self.file_key
        return frame


class Messages:
    """The rows of ``ChatMessages``."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    @classmethod
    def from_environment(cls) -> Self:
        """Open the deployed table."""
        return cls(aws.dynamodb(), settings.messages_table())

    def store(self, message: Message) -> Message:
        """Write a message where nothing is yet, and say where that was.

        Two messages of a chat that arrive in one millisecond want the same key; the later one takes
        the next free millisecond.

        Returns:
            The message, with the timestamp under which it is stored.

        Raises:
            Unavailable: DynamoDB is overloaded or out of reach, or the chat is busier than a
                message a millisecond.
        """
        for _ in range(_MOST_CLASHES):
            in_the_way = self._put_if_free(message)
            # botocore tries again where an answer was lost on its way. If the write itself was not
            # lost, the second attempt finds the first one's row.
            if in_the_way in {None, message.message_id}:
                return message
            message = replace(message, timestamp=message.timestamp + 1)
        raise Unavailable("This chat is very busy. Send the same again in a moment.")

    def _put_if_free(self, message: Message) -> str | None:
        """Write the row unless its key is taken; return the id of the message that has the key."""
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
            row = cast("dict[str, Any]", taken.response)["Item"]
            return str(row["messageId"]["S"])
        return None


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
    if message.file_key is not None:
        item["fileKey"] = {"S": message.file_key}
    return item
