"""What is attacked: ``python -m local``, in the open mode and with an issuer."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.device import Device, device
from tests.support.issuer import AUDIENCE, Issuer, issuer
from tests.support.runner import local_runner


@dataclass(frozen=True)
class Deployment:
    """A running backend.

    Attributes:
        url: Of the WebSocket API.
        issuer: Whose tokens it wants; none where it is open.
    """

    url: str
    issuer: Issuer | None

    def device(self, user_id: str, **query: str) -> AbstractContextManager[Device]:
        """Connect as somebody who has every right to."""
        who = {"token": self.issuer.token(user_id)} if self.issuer else {"userId": user_id}
        return device(self.url, **who, **query)

    def refuses(self, **query: str) -> int:
        """Give the status with which a handshake is refused."""
        with pytest.raises(InvalidStatus) as refusal, device(self.url, **query):
            pass
        return refusal.value.response.status_code


@pytest.fixture(scope="session")
def open_deployment() -> Iterator[Deployment]:
    with local_runner() as run:
        yield Deployment(run.url, None)


@pytest.fixture(scope="session")
def closed() -> Iterator[Deployment]:
    with issuer() as served:
        parameters = [f"JwtIssuer={served.url}", f"JwtAudience={AUDIENCE}"]
        with local_runner("--parameter-overrides", *parameters) as run:
            yield Deployment(run.url, served)


@pytest.fixture(params=["open_deployment", "closed"], ids=["open", "tokens"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each of the two modes: what is tried must fail in both."""
    found: Deployment = request.getfixturevalue(request.param)
    return found


@dataclass(frozen=True)
class Cast:
    """Two who chat, and one who should not: nobody else is called as they are."""

    alice: str
    bob: str
    mallory: str

    @property
    def chat_id(self) -> str:
        return f"{self.alice}#{self.bob}"


@pytest.fixture
def people() -> Cast:
    mark = uuid4().hex[:8]
    return Cast(f"alice-{mark}", f"bob-{mark}", f"mallory-{mark}")
