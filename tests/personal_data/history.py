"""What users may have written: rows as the layer stores them, put into the tables directly."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.support import events
from tests.support.backend import Backend

_HOUR_MS = 3_600_000


@dataclass
class History:
    """Messages of many chats, the first an hour old, and their files."""

    backend: Backend
    rows: list[dict[str, Any]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._clock = itertools.count(events.now() - _HOUR_MS)

    def send(self, sender: str, recipient: str, **more: Any) -> dict[str, Any]:
        """Add a message; `put` stores it."""
        row = {
            "chatId": "#".join(sorted((sender, recipient))),
            "timestamp": next(self._clock),
            "messageId": str(uuid4()),
            "senderId": sender,
            "recipientId": recipient,
            **more,
        }
        self.rows.append(row)
        return row

    def send_file(
        self, sender: str, recipient: str, name: str, content: bytes, **more: Any
    ) -> dict[str, Any]:
        """Upload a file, and add a message with it; `put` stores the message."""
        key = f"{'#'.join(sorted((sender, recipient)))}/{uuid4()}/{name}"
        self.backend.s3.put_object(
            Bucket=self.backend.bucket, Key=key, Body=content, ContentType="image/png"
        )
        self.contents[key] = content
        return self.send_again(sender, recipient, key, **more)

    def send_again(self, sender: str, recipient: str, key: str, **more: Any) -> dict[str, Any]:
        """Add a message with a file that was uploaded; `put` stores the message."""
        file = {
            "fileKey": key,
            "fileName": key.rpartition("/")[2],
            "contentType": "image/png",
            "size": len(self.contents[key]),
        }
        return self.send(sender, recipient, **file, **more)

    def put(self) -> None:
        """Store the messages, each with its idempotency record."""
        rows = [self._item(row) for row in self.rows]
        rows += [self._record(row) for row in self.rows if "clientMessageId" in row]
        for batch in itertools.batched(rows, 25, strict=False):
            requests = [{"PutRequest": {"Item": item}} for item in batch]
            self.backend.dynamodb.batch_write_item(RequestItems={"ChatMessages": requests})

    def between(self, user: str, *, answered: bool = False) -> list[dict[str, Any]]:
        """Return the messages to and from a user, sorted; maybe only those of answered chats."""
        chats = {row["chatId"] for row in self.rows if row["recipientId"] == user}
        found = [row for row in self.rows if user in (row["senderId"], row["recipientId"])]
        return sorted_rows(row for row in found if not answered or row["chatId"] in chats)

    @classmethod
    def random(cls, backend: Backend, seed: int, users: Sequence[str], count: int) -> "History":
        """Return stored messages between random users, some with files, ids and both."""
        choose = random.Random(seed)  # noqa: S311 -- no secret
        history = cls(backend)
        for number in range(count):
            sender, recipient = choose.sample(users, 2)
            more = {"text": f"secret {number}"}
            if choose.random() < 0.5:
                more["clientMessageId"] = f"c{number}"
            if choose.random() < 0.2:
                history.send_file(sender, recipient, f"file {number}.png", b"%d" % number, **more)
            else:
                history.send(sender, recipient, **more)
        history.put()
        return history

    @staticmethod
    def _item(row: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {"N": str(value)} if isinstance(value, int) else {"S": value}
            for name, value in row.items()
        }

    @classmethod
    def _record(cls, row: dict[str, Any]) -> dict[str, Any]:
        record = {
            "chatId": f"{row['chatId']}#{row['senderId']}#{row['clientMessageId']}",
            "timestamp": 0,
            "messageId": row["messageId"],
            "messageTimestamp": row["timestamp"],
        }
        return cls._item(record | ({"ttl": row["ttl"]} if "ttl" in row else {}))


def sorted_rows(rows: Any) -> list[dict[str, Any]]:
    """Sort messages by chat and time."""
    return sorted(rows, key=lambda row: (row["chatId"], row["timestamp"]))
