"""The files of a chat, as they lie in the bucket, whether a message refers to them or not."""

from datetime import UTC, datetime, timedelta
from typing import Self

from personal_data.deployment import Deployment

# After a day a file that was not sent cannot be sent any more (`SENDABLE_FOR` in
# shared/chat/files.py), and a message is stored at most 29 s after its file was looked at.
_SENDABLE_FOR = timedelta(days=1, minutes=1)


class ChatFiles:
    """The keys of a chat's files when they were listed, and when each was uploaded."""

    def __init__(self, uploaded_at: dict[str, datetime]) -> None:
        self._uploaded_at = uploaded_at
        self._listed_at = datetime.now(UTC)

    @classmethod
    def read(cls, deployment: Deployment, chat_id: str) -> Self:
        """List them. The listing is strongly consistent.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
        """
        pages = deployment.s3.get_paginator("list_objects_v2").paginate(
            Bucket=deployment.names.bucket, Prefix=f"{chat_id}/"
        )
        return cls(
            {
                each["Key"]: each["LastModified"]
                for page in pages
                for each in page.get("Contents", [])
            }
        )

    def of(self, keys: set[str]) -> list[str]:
        """Return those of these that are there."""
        return sorted(self._uploaded_at.keys() & keys)

    def unsent(self, sent: set[str]) -> tuple[list[str], int]:
        """Return the files that were not sent and cannot be, and how many may still be sent."""
        unsent = self._uploaded_at.keys() - sent
        latest = self._listed_at - _SENDABLE_FOR
        old = sorted(key for key in unsent if self._uploaded_at[key] < latest)
        return old, len(unsent) - len(old)
