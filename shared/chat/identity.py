"""Who someone is."""

import re
from collections.abc import Mapping
from typing import NewType

from chat.errors import InvalidRequest, Unauthorized

UserId = NewType("UserId", str)

_USER_ID = re.compile(r"[A-Za-z0-9._@+=:|-]{1,128}")


def is_user_id(value: str) -> bool:
    """Say whether a text has the form of a user id: 1 to 128 of ``A-Z a-z 0-9 . _ @ + = : | -``."""
    return _USER_ID.fullmatch(value) is not None


def who_connects(query: Mapping[str, str]) -> UserId:
    """Tell who opens a connection, by its own word: whoever knows a user id may say so.

    Args:
        query: The query string of the handshake's URL.

    Raises:
        Unauthorized: The handshake names nobody.
        InvalidRequest: It names somebody who cannot exist.
    """
    user_id = query.get("userId", "")
    if not user_id:
        raise Unauthorized("Say who you are: add ?userId=<id> to the URL.")
    if not is_user_id(user_id):
        raise InvalidRequest("`userId` must be 1 to 128 of A-Z a-z 0-9 . _ @ + = : | -")
    return UserId(user_id)
