"""Fixtures: the local runner in the open mode and with an issuer, and users."""

from collections.abc import Iterator

import pytest

from tests.attacks.attacked import AttackedBackend, Users
from tests.support.issuer import AUDIENCE, issuer
from tests.support.runner import local_runner


@pytest.fixture(scope="session")
def open_backend() -> Iterator[AttackedBackend]:
    with local_runner() as runner:
        yield AttackedBackend(runner.url, None)


@pytest.fixture(scope="session")
def token_backend() -> Iterator[AttackedBackend]:
    with issuer() as served:
        parameters = [f"JwtIssuer={served.url}", f"JwtAudience={AUDIENCE}"]
        with local_runner("--parameter-overrides", *parameters) as runner:
            yield AttackedBackend(runner.url, served)


@pytest.fixture(params=["open", "tokens"])
def attacked(
    request: pytest.FixtureRequest, open_backend: AttackedBackend, token_backend: AttackedBackend
) -> AttackedBackend:
    """Run a test in both modes: the attack must fail in both."""
    return open_backend if request.param == "open" else token_backend


@pytest.fixture
def users() -> Users:
    return Users.new()
