"""A backend that is attacked, and the users of an attack."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.device import Device, device
from tests.support.issuer import Issuer


@dataclass(frozen=True)
class AttackedBackend:
    """A running backend.

    Attributes:
        url: Of the WebSocket API.
        issuer: The issuer whose tokens it requires; none in the open mode.
    """

    url: str
    issuer: Issuer | None

    def device(self, user_id: str, **query: str) -> AbstractContextManager[Device]:
        """Connect as that user, with a valid token where one is required."""
        user = {"token": self.issuer.token(user_id)} if self.issuer else {"userId": user_id}
        return device(self.url, **user, **query)

    def refuses(self, **query: str) -> int:
        """Return the status with which a handshake is refused."""
        with pytest.raises(InvalidStatus) as refusal, device(self.url, **query):
            pass
        return refusal.value.response.status_code


@dataclass(frozen=True)
class Users:
    """Two users who chat, and an attacker; no other test has them."""

    alice: str
    bob: str
    mallory: str

    @classmethod
    def new(cls) -> Self:
        digits = uuid4().hex[:8]
        return cls(f"alice-{digits}", f"bob-{digits}", f"mallory-{digits}")

    @property
    def chat_id(self) -> str:
        return f"{self.alice}#{self.bob}"
