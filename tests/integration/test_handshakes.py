"""Who is believed, where there is an issuer or an authorizer."""

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
def closed(served: Issuer, api: ManagementApi, tmp_path: Path) -> Container:
    """on_connect of a deployment that has an issuer."""
    stack = loaded(tmp_path, JwtIssuer=served.url, JwtAudience=AUDIENCE)
    return on_connect(stack, api)


def knock(door: Container, **event: Any) -> tuple[int, str]:
    """Give the status, and the error's code."""
    query = event.pop("query", {})
    reply = door(events.connect(events.new_id(), query, **event))
    code = Backend.frame_of(reply)["code"] if "body" in reply else ""
    return reply["statusCode"], code


def test_a_token_opens_the_door(backend: Backend, closed: Container, served: Issuer) -> None:
    assert knock(closed, query={"token": served.token("user123")}) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_it_may_come_as_a_header(
    backend: Backend, closed: Container, served: Issuer, name: str, scheme: str
) -> None:
    headers = {name: f"{scheme} {served.token('user123')}"}
    assert knock(closed, headers=headers) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


@pytest.mark.parametrize("user_id", ["user123", ""])
def test_the_user_id_beside_it_may_say_the_same(
    closed: Container, served: Issuer, user_id: str
) -> None:
    query = {"token": served.token("user123"), "userId": user_id}
    assert knock(closed, query=query) == (200, "")


@pytest.mark.parametrize("user_id", ["user456", "USER123", "user123 ", "a#b"])
def test_another_user_id_beside_it_is_forbidden(
    backend: Backend, closed: Container, served: Issuer, user_id: str
) -> None:
    query = {"token": served.token("user123"), "userId": user_id}
    assert knock(closed, query=query) == (403, "forbidden")
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
)
def test_without_a_token_nobody_comes_in(
    backend: Backend, closed: Container, event: dict[str, Any]
) -> None:
    assert knock(closed, **event) == (401, "unauthorized")
    assert backend.connections() == {}


def test_an_issuer_out_of_reach_is_no_way_in(
    backend: Backend, closed: Container, served: Issuer
) -> None:
    served.answers[KEYS] = 503
    for _ in range(2):
        assert knock(closed, query={"token": served.token("user123")}) == (500, "internal")
    assert backend.connections() == {}
    assert served.asked[KEYS] == 1


def test_an_authorizer_in_front_is_believed(backend: Backend) -> None:
    assert knock(backend.on_connect, authorizer={"principalId": "user123"}) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


def test_what_it_says_of_the_user_goes_before_its_principal(backend: Backend) -> None:
    authorizer = {"principalId": "everyone", "userId": "user123"}
    assert knock(backend.on_connect, authorizer=authorizer) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


def test_it_goes_before_the_client_and_before_a_token(
    backend: Backend, closed: Container, served: Issuer
) -> None:
    authorizer = {"principalId": "user123"}
    for door in (backend.on_connect, closed):
        query = {"userId": "user456"}
        assert knock(door, query=query, authorizer=authorizer) == (403, "forbidden")
    assert backend.connections() == {}
    query = {"token": served.token("user456")}
    assert knock(closed, query=query, authorizer=authorizer) == (200, "")
    assert list(backend.connections().values()) == ["user123"]


@pytest.mark.parametrize(
    "authorizer", [{"integrationLatency": 7}, {"principalId": ""}, {"userId": 7}, {"userId": "a#b"}]
)
def test_an_authorizer_that_does_not_say_who_lets_in_no_one(
    backend: Backend, authorizer: dict[str, Any]
) -> None:
    refused = knock(backend.on_connect, query={"userId": "user123"}, authorizer=authorizer)
    assert refused == (401, "unauthorized")
    assert backend.connections() == {}


def test_an_issuer_without_an_audience_does_not_start(
    served: Issuer, api: ManagementApi, tmp_path: Path
) -> None:
    stack = loaded(tmp_path, JwtIssuer=served.url)
    with pytest.raises(ValueError, match="JwtAudience"):
        on_connect(stack, api)
