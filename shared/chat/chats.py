"""User ids, and chats: two users, and an id that does not depend on their order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType, Self

from chat.client_frame import ClientFrame
from chat.errors import Forbidden, InvalidRequest

UserId = NewType("UserId", str)

USER_ID_CHARACTERS = "A-Z a-z 0-9 . _ @ + = : | - ' ~"
_USER_ID = re.compile(r"[A-Za-z0-9._@+=:|'~-]{1,128}")
_MAX_ID_LENGTH = 128 + 1 + 128


def is_user_id(value: str) -> bool:
    """Return whether a text has the form of a user id: 1 to 128 of `USER_ID_CHARACTERS`."""
    return _USER_ID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Chat:
    """Two different users, in sorted order."""

    members: tuple[UserId, UserId]

    @classmethod
    def from_frame(cls, frame: ClientFrame) -> Self:
        """Read ``chatId``: two different user ids joined by ``#``, in either order.

        Raises:
            InvalidRequest: It is missing or not of that form.
        """
        parts = frame.string("chatId", max_length=_MAX_ID_LENGTH).split("#")
        if len(parts) != 2 or not all(map(is_user_id, parts)) or parts[0] == parts[1]:
            raise InvalidRequest("`chatId` must be two different user ids joined by `#`.")
        first, second = sorted(parts)
        return cls((UserId(first), UserId(second)))

    @property
    def id(self) -> str:
        """The id under which the chat is stored and sent."""
        return "#".join(self.members)

    def partner_of(self, user_id: UserId) -> UserId:
        """Return the other member.

        Raises:
            Forbidden: The user is not a member.
        """
        if user_id not in self.members:
            raise Forbidden("You are not in this chat: `chatId` must hold your own user id.")
        first, second = self.members
        return second if user_id == first else first
