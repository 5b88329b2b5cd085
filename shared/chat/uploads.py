"""Uploads: check what a client wants to upload, and sign a link to do it with."""

from __future__ import annotations

import os
from typing import Any, Self
from urllib.parse import urlencode

from chat import aws
from chat.chats import Chat, UserId
from chat.client_frame import ClientFrame
from chat.errors import TooLarge, UnsupportedType
from chat.file_keys import new_key
from chat.files import LINK_LIFETIME_S, UNSENT
from chat.server_frames import Upload
from chat.telemetry import count, logger

_MAX_CONTENT_TYPE_LENGTH = 255
# What browsers and phones call these types.
_ALIASES = {
    "application/x-zip-compressed": "application/zip",
    "audio/m4a": "audio/mp4",
    "audio/mp3": "audio/mpeg",
    "audio/x-m4a": "audio/mp4",
    "image/jpg": "image/jpeg",
}


class Uploads:
    """Checks uploads, and signs links for them."""

    def __init__(
        self, s3: aws.S3, bucket: str, *, allowed_types: frozenset[str], max_bytes: int
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
            os.environ["FILES_BUCKET"],
            allowed_types=frozenset(
                _canonical(each.strip()) for each in os.environ["ALLOWED_CONTENT_TYPES"].split(",")
            ),
            max_bytes=int(os.environ["MAX_FILE_BYTES"]),
        )

    def upload_link(self, frame: ClientFrame, *, user_id: UserId) -> Upload:
        """Answer a ``sendfile`` frame that asks to upload, with the ``upload`` frame.

        Raises:
            InvalidRequest: A field is missing or not of the agreed form.
            Forbidden: The user is not in the chat.
            UnsupportedType: The deployment does not take such files.
            TooLarge: The deployment does not take files of that size.
        """
        chat = Chat.from_frame(frame)
        chat.partner_of(user_id)
        key = new_key(frame, chat)
        content_type = _canonical(frame.string("contentType", max_length=_MAX_CONTENT_TYPE_LENGTH))
        if content_type not in self._allowed_types:
            allowed = ", ".join(sorted(self._allowed_types))
            raise UnsupportedType(f"`contentType` must be one of: {allowed}.")
        size = frame.optional_whole_number("size")
        if size is not None and size > self._max_bytes:
            raise TooLarge(f"A file may have at most {self._max_bytes} bytes.")
        url, headers = self._presign(key, content_type, size)
        count("UploadLinks")
        logger.info("upload link made", content_type=content_type, size=size)
        return Upload(
            type="upload",
            action="sendfile",
            chatId=chat.id,
            fileKey=key,
            uploadUrl=url,
            method="PUT",
            headers=headers,
            expiresIn=LINK_LIFETIME_S,
        )

    def _presign(self, key: str, content_type: str, size: int | None) -> tuple[str, dict[str, str]]:
        """Sign a link to PUT a file with; return it and the headers that must go with the bytes.

        S3 takes only what was signed: this type, this tag, exactly this size where it is known, and
        only while there is no file with that key. Otherwise a link could be used again to replace a
        file that was sent, and by the tag have S3 delete it.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        tags = urlencode([UNSENT])
        signed: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": key,
            "ContentType": content_type,
            "IfNoneMatch": "*",
            "Tagging": tags,
        }
        if size is not None:
            signed["ContentLength"] = size
        sign = self._s3.generate_presigned_url
        url = sign("put_object", Params=signed, ExpiresIn=LINK_LIFETIME_S)
        # Content-Length is not here: HTTP clients add it, and browsers refuse it from a page.
        headers = {"Content-Type": content_type, "If-None-Match": "*", "x-amz-tagging": tags}
        return url, headers


def _canonical(content_type: str) -> str:
    """Return a type in lower case, without parameters (``; charset=utf-8``), by its usual name."""
    name = content_type.partition(";")[0].rstrip(" \t").lower()
    return _ALIASES.get(name, name)
