"""Mallory tries to get in with a token that is not worth one."""

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


def unsigned_under_a_good_signature(issuer: Issuer, user_id: str) -> str:
    _, _, signature = issuer.token("mallory").split(".")
    return f"{unsigned(issuer, user_id)}{signature}"


def signed_with_the_public_key(issuer: Issuer, user_id: str) -> str:
    public = issuer.key.private.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': issuer.key.id})}.{part(issuer.claims(user_id))}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def signed_by_a_stranger(issuer: Issuer, user_id: str) -> str:
    return rsa_key().sign(issuer.claims(user_id), kid=issuer.key.id)


def signed_by_a_stranger_otherwise(issuer: Issuer, user_id: str) -> str:
    return ec_key().sign(issuer.claims(user_id), kid=issuer.key.id)


def with_a_key_of_its_own(issuer: Issuer, user_id: str) -> str:
    own = rsa_key()
    return own.sign(issuer.claims(user_id), jwk=own.listed, jku="https://mallory.example/keys")


def signed_in_another_way(issuer: Issuer, user_id: str) -> str:
    headers = {"kid": issuer.key.id}
    return jwt.encode(issuer.claims(user_id), issuer.key.private, "PS256", headers)


def with_other_claims(issuer: Issuer, user_id: str) -> str:
    header, _, signature = issuer.token("mallory").split(".")
    return f"{header}.{part(issuer.claims(user_id))}.{signature}"


def expired(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, exp=int(time.time()) - 60)


def without_an_end(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, exp=None)


def not_yet_valid(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, nbf=int(time.time()) + 600)


def of_another_issuer(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, iss="https://mallory.example")


def for_another_application(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, aud="another")


def for_another_app_of_cognitos(issuer: Issuer, user_id: str) -> str:
    return issuer.token(user_id, aud=None, client_id="another", token_use="access")


def with_a_key_id_that_leads_elsewhere(issuer: Issuer, user_id: str) -> str:
    return issuer.key.sign(issuer.claims(user_id), kid="../../../dev/null")


def too_deep_to_read(_: Issuer, __: str) -> str:
    return f"{part(b'[' * 2000)}.{part({})}."


def no_token(_: Issuer, user_id: str) -> str:
    return user_id


FORGERIES = [
    unsigned,
    unsigned_under_a_good_signature,
    signed_with_the_public_key,
    signed_by_a_stranger,
    signed_by_a_stranger_otherwise,
    with_a_key_of_its_own,
    signed_in_another_way,
    with_other_claims,
    expired,
    without_an_end,
    not_yet_valid,
    of_another_issuer,
    for_another_application,
    for_another_app_of_cognitos,
    with_a_key_id_that_leads_elsewhere,
    too_deep_to_read,
    no_token,
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_token(token_backend: AttackedBackend, users: Users, forgery: Forgery) -> None:
    assert token_backend.issuer is not None
    token = forgery(token_backend.issuer, users.alice)
    assert token_backend.refuses(token=token) == 401
    assert token_backend.refuses(token=token, userId=users.alice) == 401


def test_none_at_all(token_backend: AttackedBackend, users: Users) -> None:
    assert token_backend.refuses() == 401
    assert token_backend.refuses(userId=users.alice) == 401


def test_a_good_token_of_ones_own_under_anothers_name(
    token_backend: AttackedBackend, users: Users
) -> None:
    assert token_backend.issuer is not None
    own = token_backend.issuer.token(users.mallory)
    assert token_backend.refuses(token=own, userId=users.alice) == 403


def test_garbage_by_the_hundred_does_not_reach_the_issuer(
    token_backend: AttackedBackend, users: Users
) -> None:
    assert token_backend.issuer is not None
    with token_backend.device(users.alice):
        asked = token_backend.issuer.asked.total()
        forger = ec_key()
        for number in range(50):
            forged = forger.sign(token_backend.issuer.claims(users.alice), kid=str(number))
            assert token_backend.refuses(token=forged) == 401
        # One fetch in ten seconds, and two questions for each, in each of a few containers.
        assert token_backend.issuer.asked.total() - asked <= 20


def test_a_good_one_gets_in_either_way(token_backend: AttackedBackend, users: Users) -> None:
    """So that what is refused above is refused for what it is."""
    assert token_backend.issuer is not None
    token = token_backend.issuer.token(users.alice, aud=[AUDIENCE, "another"])
    headers = {"aUTHORIZATION": f"Bearer {token}"}
    with connect(token_backend.url, additional_headers=headers, open_timeout=TIMEOUT_S):
        pass
    with token_backend.device(users.alice) as alice:
        assert alice.say(users.chat_id, "x")["type"] == "ack"
