"""What is erased in a chat: which messages become tombstones, and which files go.

A tombstone has no text and no file. Its ids, its users and its timestamp stay, so that the pages
and cursors of the other user stay valid. So does the idempotency record: a resend of an erased
message is a duplicate, and does not bring its text back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personal_data.rows import Row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateItemInputTypeDef

_FILE = ("fileKey", "fileName", "contentType", "size")
_CONTENT = ("text", *_FILE)


@dataclass(frozen=True, slots=True)
class Change:
    """What a message loses.

    Attributes:
        message: Its row.
        is_from_user: Whether the erased user sent it. Otherwise it loses the user's file.
    """

    message: Row
    is_from_user: bool

    def update(self, table: str) -> "UpdateItemInputTypeDef":
        """Return the call that makes the change, once or several times, or does nothing.

        It does nothing where the row is gone, or another message has taken its key.
        """
        removed = _CONTENT if self.is_from_user else _FILE
        is_tombstone = self.is_from_user or "text" not in self.message
        return {
            "TableName": table,
            "Key": {name: self.message[name] for name in ("chatId", "timestamp")},
            "UpdateExpression": "REMOVE "
            + ", ".join(f"#{name}" for name in removed)
            + (" SET erased = :true" if is_tombstone else ""),
            "ConditionExpression": "messageId = :messageId",
            # Some of them are reserved words of DynamoDB's.
            "ExpressionAttributeNames": {f"#{name}": name for name in removed},
            "ExpressionAttributeValues": {
                ":messageId": self.message["messageId"],
                **({":true": {"BOOL": True}} if is_tombstone else {}),
            },
            "ReturnConsumedCapacity": "TOTAL",
        }


class ChatErasure:
    """What has to be erased of a user in one chat.

    Attributes:
        changes: The messages that lose something, newest first. Make the changes in this order, or
            an erasure that is interrupted could not be continued: the oldest message with a file
            says whose file it is, so it must lose the file last.
        files: The keys of the user's files, and of those that `files` held before.
        others: The keys of the other user's files.
    """

    def __init__(self, user_id: str, messages: Iterable[Row], files: Iterable[str] = ()) -> None:
        self._user_id = user_id
        self.files = set(files)
        self.others: set[str] = set()
        self.changes = list(self._changes(messages))
        self.changes.reverse()

    def _changes(self, messages: Iterable[Row]) -> Iterator[Change]:
        """Find out what messages lose, which come oldest first."""
        for message in messages:
            is_from_user = message["senderId"]["S"] == self._user_id
            key = message["fileKey"]["S"] if "fileKey" in message else None
            if key is not None and key not in self.files | self.others:
                (self.files if is_from_user else self.others).add(key)
            if (is_from_user and "erased" not in message) or key in self.files:
                yield Change(message, is_from_user)
