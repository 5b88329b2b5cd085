"""A refused handshake prints why, which its client cannot see, and no value of the client."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.conformance.conftest import TEMPLATE
from tests.support.issuer import AUDIENCE, Issuer, issuer, rsa_key
from tests.support.runner import LocalRunner, local_runner

pytestmark = pytest.mark.slow

USER_ID = "w4lt3r"
OTHER = "j3ss1e"


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    with local_runner() as run:
        yield run


@pytest.fixture(scope="module")
def issued() -> Iterator[Issuer]:
    with issuer() as served:
        yield served


@pytest.fixture(scope="module")
def closed(issued: Issuer) -> Iterator[LocalRunner]:
    parameters = (f"JwtIssuer={issued.url}", f"JwtAudience={AUDIENCE}")
    with local_runner("--parameter-overrides", *parameters) as run:
        yield run


@pytest.fixture(scope="module")
def guarded() -> Iterator[LocalRunner]:
    with local_runner("--api", "GuardedApi", template=TEMPLATE) as run:
        yield run


def refused(run: LocalRunner, query: dict[str, Any]) -> tuple[int, list[str]]:
    """Return the status of a handshake, and the lines that it printed."""
    before = len(run.lines)
    with pytest.raises(InvalidStatus) as refusal, connect(f"{run.url}?{urlencode(query)}"):
        pass
    status = refusal.value.response.status_code
    run.wait_for(f"Warning: handshake refused with {status}: ")
    return status, run.lines[before:]


def assert_explained(run: LocalRunner, query: dict[str, Any], status: int, reason: str) -> None:
    """Expect one line that explains it, and no value of the query string in any."""
    actual, lines = refused(run, query)
    assert actual == status
    assert sum(reason in line for line in lines) == 1, lines
    for value in query.values():
        # Of a token no part either.
        for part in str(value).split("."):
            assert part == "" or not any(part in line for line in lines)


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ({}, 401, '"reason":"Say who you are: add ?userId=<id> to the URL."'),
        ({"userId": f"{USER_ID}#{OTHER}"}, 400, '"reason":"`userId` must be 1 to 128 of '),
        ({"userId": USER_ID, "since": "1h43m"}, 400, '"reason":"`since` must be a whole number'),
    ],
    ids=["no user id", "malformed user id", "malformed since"],
)
def test_refusal_in_the_open_mode_prints_the_reason(
    run: LocalRunner, query: dict[str, str], status: int, reason: str
) -> None:
    assert_explained(run, query, status, reason)


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        (lambda _: {"userId": USER_ID}, 401, "add ?token=<jwt> to the URL"),
        (lambda _: {"token": "w4lt3r1.w4lt3r2.w4lt3r3"}, 401, '"reason":"The token is not valid.'),
        (
            lambda issued: {"token": issued.token(USER_ID, exp=int(time.time()) - 99)},
            401,
            '"cause":"ExpiredSignatureError","reason":"The token has expired.',
        ),
        (
            lambda issued: {"token": issued.token(USER_ID, nbf=int(time.time()) + 99)},
            401,
            '"cause":"ImmatureSignatureError","reason":"The token is not valid.',
        ),
        (
            lambda issued: {"token": issued.token(USER_ID, iss="https://other.example")},
            401,
            '"cause":"InvalidIssuerError","reason":"The token is not valid.',
        ),
        (
            lambda issued: {"token": rsa_key().sign(issued.claims(USER_ID))},
            401,
            "The token is not signed by this chat's issuer",
        ),
        (
            lambda issued: {"token": issued.token(USER_ID, aud="other")},
            401,
            "The token is not meant for this chat",
        ),
        (
            lambda issued: {"token": issued.token(f"{USER_ID}#")},
            401,
            "The token's `sub` is not a user id of this chat",
        ),
        (
            lambda issued: {"token": issued.token(USER_ID), "userId": OTHER},
            403,
            "You are somebody else than `userId` says",
        ),
    ],
    ids=[
        "no token", "no JWT", "expired", "not yet valid", "other issuer", "other key",
        "other audience", "malformed user id", "other user id",
    ],
)  # fmt: skip
def test_refusal_with_an_issuer_prints_the_reason(
    closed: LocalRunner,
    issued: Issuer,
    query: Callable[[Issuer], dict[str, str]],
    status: int,
    reason: str,
) -> None:
    assert_explained(closed, query(issued), status, reason)


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ({}, 401, "identity source route.request.querystring.token is missing"),
        ({"token": "unauthorized"}, 401, 'the authorizer raised "Unauthorized"'),
        ({"token": "deny"}, 403, "the authorizer's policy denies it"),
        ({"token": "broken"}, 500, "the authorizer returned no valid policy"),
        ({"token": "allow", "status": 404}, 404, "local-ConnectFunction returned this status"),
        ({"token": "allow", "raise": "x"}, 502, "local-ConnectFunction failed: RuntimeError: x"),
        ({"token": "allow", "result": "{}"}, 502, "returned no status, but the statusCode null"),
    ],
    ids=str,
)
def test_refusal_by_the_gateway_or_any_function_prints_the_reason(
    guarded: LocalRunner, query: dict[str, object], status: int, reason: str
) -> None:
    actual, lines = refused(guarded, query)
    assert actual == status
    assert sum(reason in line for line in lines) == 1, lines


def test_sub_protocol_that_connect_does_not_choose_is_reported(guarded: LocalRunner) -> None:
    offered = [Subprotocol("chat.v1")]
    with connect(f"{guarded.url}?token=allow", subprotocols=offered) as client:
        assert client.subprotocol is None
    guarded.wait_for("the client offers sub-protocols, and $connect chose none")
