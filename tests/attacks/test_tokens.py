"""Mallory tries to connect with tokens that are not valid."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.sync.client import connect

from tests.attacks.attacked import AttackedBackend, Users
from tests.support.device import TIMEOUT_S
from tests.support.issuer import AUDIENCE, Issuer, ec_key, rsa_key

type Forgery = Callable[[Issuer, str], str]


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(issuer: Issuer, user_id: str) -> str:
    return f"{part({'alg': 'none', 'kid': issuer.key.id})}.{part(issuer.claims(user_id))}."


def unsigned_with_the_signature_of_a_valid_token(issuer: Issuer, user_id: str) -> str:
    _, _, signature = issuer.token("mallory").split(".")
    return f"{unsigned(issuer, user_id)}{signature}"


def signed_with_the_public_key(issuer: Issuer, user_id: str) -> str:
    public = issuer.key.private.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': issuer.key.id})}.{part(issuer.claims(user_id))}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def signed_with_an_unknown_rsa_key(issuer: Issuer, user_id: str) -> str:
    return rsa_key().sign(issuer.claims(user_id), kid=issuer.key.id)


def signed_with_an_unknown_elliptic_key(issuer: Issuer, user_id: str) -> str:
    return ec_key().sign(issuer.claims(user_id), kid=issuer.key.id)


def with_its_key_in_the_header(issuer: Issuer, user_id: str) -> str:
    own = rsa_key()
    return own.sign(issuer.claims(user_id), jwk=own.listed, jku="https://mallory.example/keys")


def signed_with_another_algorithm(issuer: Issuer, user_id: str) -> str:
    headers = {"kid": issuer.key.id}
    return jwt.encode(issuer.claims(user_id), issuer.key.private, "PS256", headers)


def with_changed_claims(issuer: Issuer, user_id: str) -> str:
    header, _, signature = issuer.token("mallory").split(".")
    return f"{header}.{part(issuer.claims(user_id))}.{signature}"


def expired(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, exp=int(time.time()) - 60)


def without_an_expiry(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, exp=None)


def not_yet_valid(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, nbf=int(time.time()) + 600)


def of_another_issuer(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, iss="https://mallory.example")


def for_another_audience(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, aud="another")


def for_another_client_of_cognito(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, aud=None, client_id="another", token_use="access")


def with_a_path_as_key_id(issuer: Issuer, user_id: str) -> str:
    return issuer.key.sign(issuer.claims(user_id), kid="../../../dev/null")


def with_a_deeply_nested_header(_: Issuer, __: str) -> str:
    return f"{part(b'[' * 2000)}.{part({})}."


def with_a_user_id_as_token(_: Issuer, user_id: str) -> str:
    return user_id


FORGERIES = [
    unsigned,
    unsigned_with_the_signature_of_a_valid_token,
    signed_with_the_public_key,
    signed_with_an_unknown_rsa_key,
    signed_with_an_unknown_elliptic_key,
    with_its_key_in_the_header,
    signed_with_another_algorithm,
    with_changed_claims,
    expired,
    without_an_expiry,
    not_yet_valid,
    of_another_issuer,
    for_another_audience,
    for_another_client_of_cognito,
    with_a_path_as_key_id,
    with_a_deeply_nested_header,
    with_a_user_id_as_token,
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_token_is_refused(
    token_backend: AttackedBackend, users: Users, forgery: Forgery
) -> None:
    assert token_backend.issuer is not None
    token = forgery(token_backend.issuer, users.alice)
    assert token_backend.refused_status(token=token) == 401
    assert token_backend.refused_status(token=token, userId=users.alice) == 401


def test_handshake_without_a_token_is_refused(token_backend: AttackedBackend, users: Users) -> None:
    assert token_backend.refused_status() == 401
    assert token_backend.refused_status(userId=users.alice) == 401


def test_valid_token_with_the_user_id_of_another_is_refused(
    token_backend: AttackedBackend, users: Users
) -> None:
    assert token_backend.issuer is not None
    own = token_backend.issuer.token(users.mallory)
    assert token_backend.refused_status(token=own, userId=users.alice) == 403


def test_many_forged_tokens_cause_few_requests_to_the_issuer(
    token_backend: AttackedBackend, users: Users
) -> None:
    assert token_backend.issuer is not None
    with token_backend.device(users.alice):
        asked = token_backend.issuer.asked.total()
        forger = ec_key()
        for number in range(50):
            forged = forger.sign(token_backend.issuer.claims(users.alice), kid=str(number))
            assert token_backend.refused_status(token=forged) == 401
        # In each of a few containers: one fetch in ten seconds, of two requests.
        assert token_backend.issuer.asked.total() - asked <= 20


def test_valid_token_opens_a_connection_in_the_url_and_in_a_header(
    token_backend: AttackedBackend, users: Users
) -> None:
    """Show that the handshakes above are refused because of their tokens."""
    assert token_backend.issuer is not None
    token = token_backend.issuer.token(users.alice, aud=[AUDIENCE, "another"])
    headers = {"aUTHORIZATION": f"Bearer {token}"}
    with connect(token_backend.url, additional_headers=headers, open_timeout=TIMEOUT_S):
        pass
    with token_backend.device(users.alice) as alice:
        assert alice.say(users.chat_id, "x")["type"] == "ack"
