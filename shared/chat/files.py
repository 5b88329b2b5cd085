"""The bucket: look up files, retain those that a message refers to, and sign download links."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Self
from urllib.parse import quote

from botocore.exceptions import ClientError

from chat import aws
from chat.chats import Chat, UserId
from chat.client_frame import ClientFrame
from chat.errors import InvalidRequest, NotFound, TooLarge, UnsupportedType
from chat.file_keys import File, key_in
from chat.retention import DAYS
from chat.server_frames import Download, file_fields
from chat.telemetry import count, logger

LINK_LIFETIME_S: Final = 900
"""For how long a link can be used, in seconds, or until the session of the function's role ends:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
"""

UNSENT: Final = ("state", "unsent")
"""The tag of a file that no message refers to, by which S3 finds it and deletes it."""

SENDABLE_FOR: Final = timedelta(days=1)
"""For how long after its upload a file can be sent first. S3 deletes it from two days on."""

# Of the types that browsers show, those in which nothing runs. An SVG may hold a script.
_SHOWN_IN_PLACE: Final = {
    "application/pdf",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/plain",
}
# Headers that a client may add to its PUT, though they are not signed, and S3 then adds to every
# download: a small file could unpack to a large one. As head_object names them.
_UPLOADERS_HEADERS: Final = {"ContentEncoding", "ContentLanguage", "ExpiresString"}
# Without s3:ListBucket, which would let a function list every key there is, S3 does not say that a
# key is missing, but that it may not be read:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
_NO_SUCH_FILE: Final = {403, 404}
# What an extended value holds unescaped, in addition to letters and digits: RFC 8187, 3.2.1.
_UNESCAPED: Final = "!#$&+-.^_`|~"


class Files:
    """The bucket of the files; `shows_in_place` lets browsers show images, PDFs and plain text."""

    def __init__(self, s3: aws.S3, bucket: str, *, max_bytes: int, shows_in_place: bool) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._max_bytes = max_bytes
        self._shows_in_place = shows_in_place

    @classmethod
    def from_environment(cls) -> Self:
        """Open the deployed bucket."""
        return cls(
            aws.lazily(aws.s3),  # most messages have no file
            os.environ["FILES_BUCKET"],
            max_bytes=int(os.environ["MAX_FILE_BYTES"]),
            shows_in_place=os.environ["SHOW_FILES_IN_PLACE"] == "true",
        )

    @aws.overload_as_unavailable()
    def retain(self, key: str) -> File:
        """Look up a file that a message is about to refer to, and keep S3 from deleting it.

        Call it before the message is stored. If the function dies in between, a file stays that no
        message refers to; in the other order, S3 could delete one that a message refers to. It
        raises what `_sendable` raises.
        """
        file, is_fresh = self._sendable(key)
        if is_fresh:
            # It may be untagged already. To ask would cost as much as to do it again.
            self._s3.delete_object_tagging(Bucket=self._bucket, Key=key)
        elif DAYS:
            # S3 counts its age anew then. Only with new metadata can a file be copied onto itself.
            at: Any = {"Bucket": self._bucket, "Key": key}
            aws.s3(aws.COPYING).copy_object(
                **at, CopySource=at, MetadataDirective="REPLACE", ContentType=file.content_type
            )
        return file

    def download_link(self, frame: ClientFrame, *, user_id: UserId) -> Download:
        """Answer a ``sendfile`` frame that asks to download, with the ``download`` frame.

        Raises:
            InvalidRequest: A field is missing or not of the agreed form.
            Forbidden: The user is not in the chat, or the file is not the chat's.
            ChatError: The file could not be sent: see `_sendable`.
        """
        chat = Chat.from_frame(frame)
        chat.partner_of(user_id)
        key = key_in(frame, chat)
        if frame.has("fileName"):
            raise InvalidRequest("Give `fileName` to upload, or `fileKey` to download, not both.")
        file, _ = self._sendable(key)
        count("DownloadLinks")
        logger.info("download link made", content_type=file.content_type, size=file.size)
        return Download(
            type="download",
            action="sendfile",
            chatId=chat.id,
            expiresIn=LINK_LIFETIME_S,
            **file_fields(file, self.link(file)),
        )

    def link(self, file: File) -> str:
        """Sign a link to GET a file with. That needs no call to S3.

        The link sets the disposition, the content type and the caching, whatever was stored:
        browsers add ``Cache-Control`` to a PUT by themselves, so it is not refused.
        """
        in_place = self._shows_in_place and file.content_type in _SHOWN_IN_PLACE
        return self._s3.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": file.key,
                "ResponseContentDisposition": disposition(
                    "inline" if in_place else "attachment", file.name
                ),
                "ResponseContentType": file.content_type,
                "ResponseCacheControl": "private",
            },
            ExpiresIn=LINK_LIFETIME_S,
        )

    @aws.overload_as_unavailable()
    def _sendable(self, key: str) -> tuple[File, bool]:
        """Look up a file that can be sent; return it, and whether it was uploaded within a day.

        Raises:
            NotFound: There is no such file, or it was never sent and may be deleted at any time.
            TooLarge: It is larger than this deployment takes.
            UnsupportedType: It was uploaded with headers that would reach those who download it.
            Unavailable: S3 is overloaded or out of reach.
        """
        try:
            found = self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in _NO_SUCH_FILE:
                raise
            raise NotFound("There is no such file. Upload it first.") from error
        if found.keys() & _UPLOADERS_HEADERS:
            raise UnsupportedType("Upload the file again, with no headers but those of `upload`.")
        file = File(key, found["ContentType"], found["ContentLength"])
        if file.size > self._max_bytes:
            raise TooLarge(f"A file may have at most {self._max_bytes} bytes.")
        age = datetime.now(UTC) - found["LastModified"]
        is_fresh = age < SENDABLE_FOR
        if 0 < DAYS <= (age - SENDABLE_FOR).days or (not is_fresh and self._is_unsent(key)):
            raise NotFound("The file has expired, or was not sent within a day: upload it again.")
        return file, is_fresh

    def _is_unsent(self, key: str) -> bool:
        tags = self._s3.get_object_tagging(Bucket=self._bucket, Key=key)["TagSet"]
        return UNSENT in {(tag["Key"], tag["Value"]) for tag in tags}


def disposition(kind: Literal["attachment", "inline"], name: str) -> str:
    """Return the ``Content-Disposition`` with which a browser saves a file, or shows it in place.

    It is in ASCII, for new clients and old ones. Clients that know ``filename*`` (RFC 8187) prefer
    it, so that ``filename`` may be an approximation (RFC 6266, section 4.3 and appendix D). It
    holds no quotes, backslashes and percent signs, which clients read in different ways.
    """
    safe = "".join(char if " " <= char <= "~" and char not in '"\\%' else "_" for char in name)
    if safe == name:
        return f'{kind}; filename="{name}"'
    return f"{kind}; filename=\"{safe}\"; filename*=UTF-8''{quote(name, safe=_UNESCAPED)}"
