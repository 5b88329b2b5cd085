"""Handshakes with an issuer or an authorizer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from local.template.model import Stack
from tests.support import events
from tests.support.backend import Backend, Container
from tests.support.issuer import AUDIENCE, KEYS, Issuer, issuer
from tests.support.management_api import ManagementApi
from tests.support.stack import container, loaded

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture(scope="module")
def _served() -> Iterator[Issuer]:
    with issuer() as served:
        yield served


@pytest.fixture
def served(_served: Issuer) -> Issuer:
    _served.list(_served.key)
    _served.asked.clear()
    return _served


def on_connect(stack: Stack, api: ManagementApi) -> Container:
    (function,) = (each for each in stack.functions.values() if each.code.name == "on_connect")
    with mock_aws():
        return container(function, stack, api)


@pytest.fixture
def with_issuer(served: Issuer, api: ManagementApi, tmp_path: Path) -> Container:
    """1_on_connect in a deployment with an issuer."""
    stack = loaded(tmp_path, JwtIssuer=served.url, JwtAudience=AUDIENCE)
    return on_connect(stack, api)


def handshake(function: Container, **event: Any) -> tuple[int, str]:
    """Return the status of a handshake, and the error code."""
    query = event.pop("query", {})
    reply = function(events.connect(events.new_id(), query, **event))
    code = Backend.frame_of(reply)["code"] if "body" in reply else ""
    return reply["statusCode"], code


def test_valid_token_opens_a_connection(
    backend: Backend, with_issuer: Container, served: Issuer
) -> None:
    assert handshake(with_issuer, query={"token": served.token("user123")}) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_token_in_the_authorization_header_opens_a_connection(
    backend: Backend, with_issuer: Container, served: Issuer, name: str, scheme: str
) -> None:
    headers = {name: f"{scheme} {served.token('user123')}"}
    assert handshake(with_issuer, headers=headers) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


@pytest.mark.parametrize("user_id", ["user123", ""])
def test_same_or_empty_user_id_with_a_token_is_accepted(
    with_issuer: Container, served: Issuer, user_id: str
) -> None:
    query = {"token": served.token("user123"), "userId": user_id}
    assert handshake(with_issuer, query=query) == (200, "")


@pytest.mark.parametrize("user_id", ["user456", "USER123", "user123 ", "a#b"])
def test_different_user_id_with_a_token_is_forbidden(
    backend: Backend, with_issuer: Container, served: Issuer, user_id: str
) -> None:
    query = {"token": served.token("user123"), "userId": user_id}
    assert handshake(with_issuer, query=query) == (403, "forbidden")
    assert backend.connections() == {}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"query": {"userId": "user123"}},
        {"query": {"token": ""}},
        {"query": {"token": "x"}},
        {"headers": {"Authorization": ""}},
        {"headers": {"Authorization": "Bearer"}},
        {"headers": {"Authorization": "Bearer "}},
        {"headers": {"Authorization": "Bearer x"}},
        {"headers": {"Authorization": "Basic dXNlcjEyMzp4"}},
    ],
    ids=str,
)
def test_handshake_without_a_valid_token_is_unauthorized(
    backend: Backend, with_issuer: Container, event: dict[str, Any]
) -> None:
    assert handshake(with_issuer, **event) == (401, "unauthorized")
    assert backend.connections() == {}


def test_unreachable_issuer_refuses_the_handshake(
    backend: Backend, with_issuer: Container, served: Issuer
) -> None:
    served.answers[KEYS] = 503
    for _ in range(2):
        assert handshake(with_issuer, query={"token": served.token("user123")}) == (500, "internal")
    assert backend.connections() == {}
    assert served.asked[KEYS] == 1


def test_principal_of_an_authorizer_is_the_user(backend: Backend) -> None:
    assert handshake(backend.on_connect, authorizer={"principalId": "user123"}) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


def test_user_id_of_an_authorizer_counts_before_its_principal(backend: Backend) -> None:
    authorizer = {"principalId": "everyone", "userId": "user123"}
    assert handshake(backend.on_connect, authorizer=authorizer) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


def test_authorizer_counts_before_user_id_and_token(
    backend: Backend, with_issuer: Container, served: Issuer
) -> None:
    authorizer = {"principalId": "user123"}
    for function in (backend.on_connect, with_issuer):
        query = {"userId": "user456"}
        assert handshake(function, query=query, authorizer=authorizer) == (403, "forbidden")
    assert backend.connections() == {}
    query = {"token": served.token("user456")}
    assert handshake(with_issuer, query=query, authorizer=authorizer) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


@pytest.mark.parametrize(
    "authorizer",
    [{"integrationLatency": 7}, {"principalId": ""}, {"userId": 7}, {"userId": "a#b"}],
    ids=str,
)
def test_authorizer_without_a_valid_user_refuses_the_handshake(
    backend: Backend, authorizer: dict[str, Any]
) -> None:
    refused = handshake(backend.on_connect, query={"userId": "user123"}, authorizer=authorizer)
    assert refused == (401, "unauthorized")
    assert backend.connections() == {}


def test_issuer_without_an_audience_fails_the_cold_start(
    served: Issuer, api: ManagementApi, tmp_path: Path
) -> None:
    stack = loaded(tmp_path, JwtIssuer=served.url)
    with pytest.raises(ValueError, match="JwtAudience"):
        on_connect(stack, api)
