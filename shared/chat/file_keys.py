"""Files, as messages and links refer to them: their names, and their keys in the bucket."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote
from uuid import uuid4

from chat.chats import Chat
from chat.client_frame import ClientFrame
from chat.errors import Forbidden, InvalidRequest, NotFound

_MAX_NAME_LENGTH = 255
# In UTF-8; those that fit into a link have fewer:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_MAX_KEY_BYTES = 1024
# S3 takes 8,192 bytes of headers, the link included. Of these browsers need about 1,000, the
# session token of a role 1,300, the rest of the link 530, and the name's form in ASCII 255:
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_MAX_BYTES_IN_LINK = 5_100

# Controls, and the separators of lines and paragraphs.
_NOT_IN_A_LINE = {"Cc", "Zl", "Zp"}
# Those that make "gpj.exe" look like "exe.jpg". Marks (LRM, RLM, ALM) are not: names need them.
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
_TURNS_DIRECTION = {"LRO", "RLO", "LRE", "RLE", "PDF", "LRI", "RLI", "FSI", "PDI"}

_FOLDER_AND_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class File:
    """A file that was uploaded: its type in lower case, as it was signed, and its size in bytes."""

    key: str
    content_type: str
    size: int

    @property
    def name(self) -> str:
        """The name that its uploader gave it: the last part of its key."""
        return self.key.rpartition("/")[2]


def new_key(frame: ClientFrame, chat: Chat) -> str:
    """Return a key for the file that a frame names: in the chat's folder, in a new one per upload.

    So no upload can replace another, and a name need not be unique. The name is kept as it was
    sent: two Unicode forms of one name are two names.

    Raises:
        InvalidRequest: There is no such name, or it could mislead, or is too long to be a key.
    """
    name = frame.string("fileName", max_length=_MAX_NAME_LENGTH)
    if not _is_name(name):
        raise InvalidRequest(
            "`fileName` must not be `.` or `..`, and must not hold `/`, `\\`, control characters "
            "or characters that turn the direction of writing."
        )
    key = f"{chat.id}/{uuid4()}/{name}"
    if not _fits(key):
        raise InvalidRequest("`fileName` is too long to store. Shorten it.")
    return key


def key_in(frame: ClientFrame, chat: Chat) -> str:
    """Read ``fileKey``: a key in the chat's folder. Whether there is such a file is not known.

    Raises:
        InvalidRequest: It is missing, or no text.
        Forbidden: It does not lie in the chat.
        NotFound: It lies in the chat, but no upload ever had such a key.
    """
    key = frame.string("fileKey", max_length=_MAX_KEY_BYTES)
    if not key.startswith(f"{chat.id}/"):
        raise Forbidden("`fileKey` must be of a file in this chat, as `sendfile` gave it.")
    rest = _FOLDER_AND_NAME.fullmatch(key.removeprefix(f"{chat.id}/"))
    if rest is None or not _is_name(rest[1]) or not _fits(key):
        raise NotFound("There is no such file. Send `fileKey` exactly as `sendfile` gave it.")
    return key


def _is_name(name: str) -> bool:
    return name not in {".", ".."} and not any(
        char in "/\\"
        or unicodedata.category(char) in _NOT_IN_A_LINE
        or unicodedata.bidirectional(char) in _TURNS_DIRECTION
        for char in name
    )


def _fits(key: str) -> bool:
    # The link has the key in its path, and the name, encoded twice, in its query.
    return len(quote(key)) + len(quote(quote(key.rpartition("/")[2]))) <= _MAX_BYTES_IN_LINK
