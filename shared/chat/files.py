"""Files: what may be uploaded, and the presigned link to do it with."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from chat import aws, settings
from chat.chats import Chat
from chat.errors import InvalidRequest, TooLarge, UnsupportedType
from chat.frames import Frame
from chat.identity import UserId

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LONGEST_NAME = 255
_LONGEST_TYPE = 255
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_LONGEST_KEY_BYTES = 1024
_LINK_LIFETIME_S = 900


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that someone wants to upload.

    Attributes:
        size: Its length in bytes, where the client said so.
    """

    chat_id: str
    file_key: str
    content_type: str
    size: int | None


class Files:
    """The bucket of the files, and what this deployment lets in."""

    def __init__(
        self, s3: S3Client, bucket: str, *, allowed_types: frozenset[str], max_bytes: int
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._allowed_types = allowed_types
        self._max_bytes = max_bytes

    @classmethod
    def from_environment(cls) -> Self:
        """Open the deployed bucket."""
        return cls(
            aws.s3(),
            settings.files_bucket(),
            allowed_types=settings.allowed_content_types(),
            max_bytes=settings.max_file_bytes(),
        )

    def check(self, frame: Frame, *, sender_id: UserId) -> Upload:
        """Read a ``sendfile`` frame that asks to upload.

        Args:
            frame: What the client sent.
            sender_id: Whose connection it came from.

        Raises:
            InvalidRequest: A field is missing or not of the agreed form.
            Forbidden: The sender is not in the chat.
            UnsupportedType: The deployment does not take such files.
            TooLarge: The deployment does not take files of that size.
        """
        chat = Chat.named_in(frame)
        chat.partner_of(sender_id)
        # A folder of its own for each upload, so that none can touch another's file.
        file_key = f"{chat.id}/{uuid4()}/{_file_name(frame)}"
        if len(file_key.encode()) > _LONGEST_KEY_BYTES:
            raise InvalidRequest("`fileName` is too long to store. Shorten it.")
        content_type = frame.string("contentType", longest=_LONGEST_TYPE).lower()
        if content_type not in self._allowed_types:
            allowed = ", ".join(sorted(self._allowed_types))
            raise UnsupportedType(f"`contentType` must be one of: {allowed}.")
        size = frame.optional_whole_number("size")
        if size is not None and size > self._max_bytes:
            raise TooLarge(f"A file may have at most {self._max_bytes} bytes.")
        return Upload(chat.id, file_key, content_type, size)

    def presign(self, upload: Upload) -> dict[str, object]:
        """Give the ``upload`` frame: a link to PUT the file to within 15 minutes.

        S3 takes only what was signed: exactly the content type, and exactly the size where the
        client gave one.
        """
        signed: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": upload.file_key,
            "ContentType": upload.content_type,
        }
        if upload.size is not None:
            signed["ContentLength"] = upload.size
        return {
            "type": "upload",
            "action": "sendfile",
            "chatId": upload.chat_id,
            "fileKey": upload.file_key,
            "uploadUrl": self._s3.generate_presigned_url(
                "put_object", Params=signed, ExpiresIn=_LINK_LIFETIME_S
            ),
            "method": "PUT",
            # Content-Length is not here: HTTP clients add it, and browsers let nobody else do so.
            "headers": {"Content-Type": upload.content_type},
            "expiresIn": _LINK_LIFETIME_S,
        }


def _file_name(frame: Frame) -> str:
    name = frame.string("fileName", longest=_LONGEST_NAME)
    if "/" in name or "\\" in name or any(unicodedata.category(char) == "Cc" for char in name):
        raise InvalidRequest("`fileName` must not hold `/`, `\\` or control characters.")
    if name in {".", ".."}:
        raise InvalidRequest("`fileName` must not be `.` or `..`.")
    return name
