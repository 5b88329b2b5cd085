"""Handshakes with an issuer or an authorizer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from local.template.model import Stack
from tests.support import events
from tests.support.backend import Backend, Container, Logs
from tests.support.issuer import AUDIENCE, KEYS, Issuer, issuer
from tests.support.management_api import ManagementApi
from tests.support.stack import container, loaded

PROTOCOL = "Sec-WebSocket-Protocol"

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


def protocol_chosen(function: Container, offered: str, **event: Any) -> str:
    """Return the sub-protocol with which a handshake is accepted."""
    query = event.pop("query", {})
    reply = function(events.connect(events.new_id(), query, headers={PROTOCOL: offered}, **event))
    assert reply["statusCode"] == 200
    assert reply["headers"].keys() == {PROTOCOL}
    chosen: str = reply["headers"][PROTOCOL]
    return chosen


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


def test_token_in_the_sub_protocols_opens_a_connection(
    backend: Backend, with_issuer: Container, served: Issuer
) -> None:
    assert protocol_chosen(with_issuer, f"bearer, {served.token('user123')}") == "bearer"
    assert list(backend.connections().values()) == ["user123"]


@pytest.mark.parametrize(
    "offered",
    [
        "",
        "bearer",
        "bearer,",
        "bearer, ",
        "bearer, x",
        "{token}",
        "{token}, bearer",
        "Bearer, {token}",
    ],
)
def test_sub_protocols_without_a_valid_token_are_unauthorized(
    backend: Backend, with_issuer: Container, served: Issuer, offered: str
) -> None:
    headers = {PROTOCOL: offered.format(token=served.token("user123"))}
    assert handshake(with_issuer, headers=headers) == (401, "unauthorized")
    assert backend.connections() == {}


def test_refused_handshake_chooses_no_sub_protocol(with_issuer: Container) -> None:
    reply = with_issuer(events.connect(events.new_id(), {}, headers={PROTOCOL: "bearer, x"}))
    assert reply.keys() == {"statusCode", "body"}


def test_other_sub_protocols_are_answered_where_the_token_is_in_the_url(
    with_issuer: Container, served: Issuer
) -> None:
    query = {"token": served.token("user123")}
    assert protocol_chosen(with_issuer, "chat.v1, chat.v2", query=query) == "chat.v1"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("bearer, e30.e30.e30", "bearer"),
        ("chat.v1, bearer, e30.e30.e30", "bearer"),
        ("chat.v2,chat.v1", "chat.v2"),
        (" chat.v1 ", "chat.v1"),
    ],
)
def test_open_mode_chooses_one_of_the_offered_sub_protocols(
    backend: Backend, offered: str, chosen: str
) -> None:
    """Browsers fail a connection for which none is chosen."""
    query = {"userId": "user123"}
    assert protocol_chosen(backend.on_connect, offered, query=query) == chosen


@pytest.mark.parametrize("offered", ["", " ", ",", " , "])
def test_header_that_offers_no_sub_protocol_is_not_answered(backend: Backend, offered: str) -> None:
    event = events.connect(events.new_id(), {"userId": "user123"}, headers={PROTOCOL: offered})
    assert backend.on_connect(event) == {"statusCode": 200}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"exp": 1}, "ExpiredSignatureError"),
        ({"aud": "other"}, "InvalidAudienceError"),
        ({"sub": "the secret user"}, "InvalidSubjectError"),
    ],
    ids=str,
)
def test_refused_token_is_logged_with_the_check_that_failed(
    backend: Backend,
    logs: Logs,
    with_issuer: Container,
    served: Issuer,
    changes: dict[str, Any],
    cause: str,
) -> None:
    token = served.token("user123", **changes)
    assert handshake(with_issuer, query={"token": token}) == (401, "unauthorized")
    lines = logs()
    (line,) = (each for each in lines if each.get("message") == "refused")
    assert line["cause"] == cause
    for secret in (*token.split("."), "user123", "other", "secret"):
        assert secret not in str(lines)
    assert backend.connections() == {}


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
