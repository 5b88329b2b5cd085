"""User ids."""

import re
from collections.abc import Mapping
from typing import NewType

from chat.errors import InvalidRequest, Unauthorized

UserId = NewType("UserId", str)

USER_ID_CHARACTERS = "A-Z a-z 0-9 . _ @ + = : | - ' ~"
"""The characters of user ids, in words."""

_USER_ID = re.compile(r"[A-Za-z0-9._@+=:|'~-]{1,128}")


def is_user_id(value: str) -> bool:
    """Return whether a text has the form of a user id: 1 to 128 of `USER_ID_CHARACTERS`."""
    return _USER_ID.fullmatch(value) is not None


def claimed_user_id(query: Mapping[str, str]) -> str:
    """Read ``userId`` from the handshake's query string; empty if it is missing.

    A ``+`` in a query string that was not encoded arrives as a space, which no user id holds.
    """
    return query.get("userId", "").replace(" ", "+")


def user_id_in(query: Mapping[str, str]) -> UserId:
    """Return the user id that a handshake claims. Any client may claim any user id.

    Args:
        query: The query string of the handshake's URL.

    Raises:
        Unauthorized: The handshake names no user.
        InvalidRequest: It names a user who cannot exist.
    """
    user_id = claimed_user_id(query)
    if not user_id:
        raise Unauthorized("Say who you are: add ?userId=<id> to the URL.")
    if not is_user_id(user_id):
        raise InvalidRequest(f"`userId` must be 1 to 128 of {USER_ID_CHARACTERS}")
    return UserId(user_id)
