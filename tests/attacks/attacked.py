"""The backend under attack, and the users of an attack."""

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
        url: The URL of the WebSocket API.
        issuer: The issuer whose tokens it requires; none in the open mode.
    """

    url: str
    issuer: Issuer | None

    def device(self, user_id: str, **query: str) -> AbstractContextManager[Device]:
        """Connect as a user, with a valid token if the backend requires one."""
        user = {"token": self.issuer.token(user_id)} if self.issuer else {"userId": user_id}
        return device(self.url, **user, **query)

    def refused_status(self, **query: str) -> int:
        """Return the status with which a handshake is refused."""
        with pytest.raises(InvalidStatus) as refusal, device(self.url, **query):
            pass
        return refusal.value.response.status_code


@dataclass(frozen=True)
class Users:
    """Two users with a chat, and an attacker; no other test uses them."""

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
