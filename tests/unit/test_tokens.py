import base64
import hmac
import json
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import issuer as issuer_module
from chat.chats import UserId
from chat.errors import Unauthorized
from chat.telemetry import cause_of
from issuer import MAX_KEY_AGE_S, MIN_REFETCH_S, IssuerUnreachable
from issuer import Issuer as IssuerClient
from tests.support.backend import ROOT
from tests.support.issuer import (
    AUDIENCE,
    CONFIGURATION,
    KEYS,
    Issuer,
    Key,
    PrivateKey,
    ec_key,
    ed_key,
    issuer,
    rsa_key,
)
from tokens import Tokens


@pytest.fixture(scope="module")
def _served() -> Iterator[Issuer]:
    with issuer() as served:
        yield served


@pytest.fixture
def served(_served: Issuer) -> Issuer:
    """An issuer with its key listed, and no requests yet."""
    _served.answers = {CONFIGURATION: {"issuer": _served.url, "jwks_uri": f"{_served.url}{KEYS}"}}
    _served.list(_served.key)
    _served.asked.clear()
    return _served


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(issuer_module, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def tokens_of(served: Issuer, **changes: Any) -> Tokens:
    client = IssuerClient(changes.pop("url", served.url), changes.pop("jwks_url", ""))
    defaults = {"audience": AUDIENCE, "audience_claim": "aud", "user_claim": "sub"}
    return Tokens(client, **defaults | {"ends_connection": True} | changes)


def user_of(tokens: Tokens, token: str) -> UserId:
    user_id, _ = tokens.user_of(token)
    return user_id


def test_valid_token_names_its_user(served: Issuer) -> None:
    assert user_of(tokens_of(served), served.token("user123")) == "user123"


def test_token_signed_with_an_elliptic_key_is_accepted(served: Issuer) -> None:
    key = ec_key()
    served.list(served.key, key)
    assert user_of(tokens_of(served), key.sign(served.claims("user123"))) == "user123"


def test_configured_claim_names_the_user(served: Issuer) -> None:
    token = served.token("ignored", name="ann")
    assert user_of(tokens_of(served, user_claim="name"), token) == "ann"


@pytest.mark.parametrize("verified", [True, "true"], ids=repr)
def test_verified_email_address_names_the_user(served: Issuer, verified: object) -> None:
    token = served.token("ignored", email="a@example.com", email_verified=verified)
    assert user_of(tokens_of(served, user_claim="email"), token) == "a@example.com"


@pytest.mark.parametrize("verified", [None, False, "false", "", "True", 0, [], [True]], ids=repr)
def test_email_address_that_is_not_verified_is_refused(served: Issuer, verified: object) -> None:
    token = served.token("ignored", email="a@example.com", email_verified=verified)
    with pytest.raises(Unauthorized, match="Verify your email") as refusal:
        user_of(tokens_of(served, user_claim="email"), token)
    assert cause_of(refusal.value) == "EmailNotVerified"


def test_other_claims_need_no_verified_email_address(served: Issuer) -> None:
    token = served.token("user123", email="a@example.com", email_verified=False)
    assert user_of(tokens_of(served), token) == "user123"


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]], ids=str)
def test_token_for_several_audiences_is_accepted(served: Issuer, audience: object) -> None:
    assert user_of(tokens_of(served), served.token("user123", aud=audience)) == "user123"


def test_access_token_of_cognito_is_accepted_by_its_client_id(served: Issuer) -> None:
    token = served.token("user123", aud=None, client_id=AUDIENCE, token_use="access")
    assert user_of(tokens_of(served), token) == "user123"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None},
        {"aud": "other"},
        {"aud": []},
        {"aud": ["other"]},
        {"aud": {AUDIENCE: 1}},
        {"aud": None, "client_id": AUDIENCE},
        {"aud": None, "client_id": AUDIENCE, "token_use": "id"},
        {"aud": None, "client_id": "other", "token_use": "access"},
        {"aud": "other", "client_id": AUDIENCE, "token_use": "access"},
    ],
    ids=str,
)
def test_token_for_another_audience_is_refused(served: Issuer, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized, match="not meant"):
        user_of(tokens_of(served), served.token("user123", **changes))


@pytest.mark.parametrize("claim", ["azp", "client_id"])
def test_configured_claim_is_the_audience(served: Issuer, claim: str) -> None:
    token = served.token("user123", aud=None, **{claim: AUDIENCE})
    assert user_of(tokens_of(served, audience_claim=claim), token) == "user123"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None},
        {"azp": "other"},
        {"azp": []},
        {"aud": None, "client_id": AUDIENCE, "token_use": "access"},
    ],
    ids=str,
)
def test_token_whose_configured_claim_is_another_audience_is_refused(
    served: Issuer, changes: dict[str, Any]
) -> None:
    """Its `aud`, which is ours unless changed, does not count then."""
    with pytest.raises(Unauthorized, match="not meant"):
        user_of(tokens_of(served, audience_claim="azp"), served.token("user123", **changes))


def test_empty_audience_is_a_configuration_error(served: Issuer) -> None:
    with pytest.raises(ValueError, match="JwtAudience"):
        tokens_of(served, audience="")


@pytest.mark.parametrize("ago", [0, 1, 29, 31, 3600])
def test_expired_token_is_refused(served: Issuer, ago: int) -> None:
    with pytest.raises(Unauthorized, match="expired"):
        user_of(tokens_of(served), served.token("user123", exp=int(time.time()) - ago))


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_token_is_accepted_if_clocks_differ_by_up_to_30_seconds(served: Issuer, name: str) -> None:
    now = int(time.time())
    assert user_of(tokens_of(served), served.token("user123", **{name: now + 29})) == "user123"
    # Not 31: the test itself takes time.
    with pytest.raises(Unauthorized):
        user_of(tokens_of(served), served.token("user123", **{name: now + 40}))


def test_connection_ends_with_its_token_unless_that_is_turned_off(served: Issuer) -> None:
    at = int(time.time()) + 100
    token = served.token("user123", exp=at)
    assert tokens_of(served).user_of(token) == ("user123", at)
    assert tokens_of(served, ends_connection=False).user_of(token) == ("user123", None)
    # DynamoDB's numbers have 38 digits.
    assert tokens_of(served).user_of(served.token("user123", exp=10**60)) == ("user123", 10**16 - 1)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"exp": 1}, "ExpiredSignatureError"),
        ({"exp": None}, "MissingRequiredClaimError"),
        ({"nbf": 10**10}, "ImmatureSignatureError"),
        ({"iss": "https://other.example"}, "InvalidIssuerError"),
        ({"aud": "other"}, "InvalidAudienceError"),
        ({"sub": "a b"}, "InvalidSubjectError"),
    ],
    ids=str,
)
def test_refusal_names_the_check_that_failed_as_its_cause(
    served: Issuer, changes: dict[str, Any], cause: str
) -> None:
    """The handler logs it: `test_refused_token_is_logged_with_the_check_that_failed`."""
    with pytest.raises(Unauthorized) as refusal:
        user_of(tokens_of(served), served.token("user123", **changes))
    assert cause_of(refusal.value) == cause


def test_refusal_of_a_signature_or_an_algorithm_names_it_as_its_cause(served: Issuer) -> None:
    claims, kid = served.claims("user123"), served.key.id
    for token, cause in (
        (rsa_key().sign(claims, kid=kid), "InvalidSignatureError"),
        (ec_key().sign(claims, kid=kid), "InvalidAlgorithmError"),
        (rsa_key().sign(claims), "InvalidKeyError"),
        ("x", "DecodeError"),
    ):
        with pytest.raises(Unauthorized) as refusal:
            user_of(tokens_of(served), token)
        assert cause_of(refusal.value) == cause


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 3600},
        {"iss": None},
        {"iss": "https://elsewhere.example"},
    ],
    ids=["no expiry", "expiry is text", "not yet valid", "no issuer", "another issuer"],
)
def test_token_of_another_issuer_or_without_valid_times_is_refused(
    served: Issuer, changes: dict[str, Any]
) -> None:
    with pytest.raises(Unauthorized, match="not valid"):
        user_of(tokens_of(served), served.token("user123", **changes))


@pytest.mark.parametrize(
    "user_id",
    [
        None,
        "",
        "a#b",
        "a b",
        pytest.param("x" * 129, id="129 characters"),
        "ünal",
        "a\n",
        "user123\u202e",
    ],
)
def test_claim_that_is_no_user_id_is_refused(served: Issuer, user_id: Any) -> None:
    with pytest.raises(Unauthorized, match="`sub` is not a user id"):
        user_of(tokens_of(served), served.token("x", sub=user_id))


@pytest.mark.parametrize("user_id", [7, True, ["user123"], {"a": "b"}], ids=str)
def test_claim_that_is_no_string_is_refused(served: Issuer, user_id: Any) -> None:
    with pytest.raises(Unauthorized, match="`number` is not a user id"):
        user_of(tokens_of(served, user_claim="number"), served.token("x", number=user_id))


def urlsafe(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def encoded(part: object) -> str:
    text = part if isinstance(part, str) else json.dumps(part)
    return urlsafe(text.encode())


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "..",
        "a.b.c",
        "\ud800.a.b",
        "ü.ü.ü",
        f"{encoded('[')}.{encoded({})}.",
        pytest.param(f"{encoded('[' * 20_000)}.{encoded({})}.", id="deeply nested header"),
        f"{encoded({'alg': 'RS256', 'kid': 7})}.{encoded({})}.",
        f"{encoded({'alg': 'RS256', 'kid': ['a']})}.{encoded({})}.",
        f"{encoded([])}.{encoded({})}.",
        pytest.param(
            f"{encoded({'alg': None})}.{encoded('[' * 20_000)}.", id="deeply nested claims"
        ),
    ],
)
def test_malformed_token_is_refused(served: Issuer, token: str) -> None:
    with pytest.raises(Unauthorized):
        user_of(tokens_of(served), token)


@given(token=st.text() | st.builds(".".join, st.lists(st.binary().map(urlsafe), max_size=5)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_random_text_is_refused_as_a_token(served: Issuer, token: str) -> None:
    with pytest.raises(Unauthorized):
        user_of(tokens_of(served), token)


def test_unsigned_token_is_refused(served: Issuer) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        header = {"alg": algorithm, "kid": served.key.id}
        token = f"{encoded(header)}.{encoded(served.claims('user123'))}."
        with pytest.raises(Unauthorized):
            user_of(tokens_of(served), token)


def test_token_signed_with_the_public_key_as_shared_secret_is_refused(served: Issuer) -> None:
    """The RSA key is public, so it must not verify a token as a shared secret."""
    public = served.key.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, der, pem.strip()):
        signed = f"{encoded({'alg': 'HS256', 'kid': served.key.id})}.{encoded(served.claims('a'))}"
        mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        with pytest.raises(Unauthorized):
            user_of(tokens_of(served), f"{signed}.{urlsafe(mac.sign(signed.encode(), secret))}")


@pytest.mark.parametrize("make_key", [rsa_key, ec_key])
def test_token_of_an_unknown_key_with_a_known_key_id_is_refused(
    served: Issuer, make_key: Any
) -> None:
    with pytest.raises(Unauthorized):
        user_of(tokens_of(served), make_key().sign(served.claims("user123"), kid=served.key.id))


def test_key_in_the_token_header_is_not_used(served: Issuer) -> None:
    own = rsa_key()
    headers = {"jwk": own.listed, "jku": f"{served.url}/attacker", "x5u": f"{served.url}/attacker"}
    with pytest.raises(Unauthorized):
        user_of(tokens_of(served), own.sign(served.claims("user123"), **headers))
    assert served.asked["/attacker"] == 0


def test_token_with_changed_claims_is_refused(served: Issuer) -> None:
    header, _, signature = served.token("user123").split(".")
    with pytest.raises(Unauthorized, match="not valid"):
        user_of(tokens_of(served), f"{header}.{encoded(served.claims('user456'))}.{signature}")


def test_token_with_an_unknown_critical_extension_is_refused(served: Issuer) -> None:
    with pytest.raises(Unauthorized):
        user_of(tokens_of(served), served.key.sign(served.claims("a"), crit=["x"], x=1))


# A key of each type that there is, and the algorithms that it may verify.
RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
KEY_TYPES: dict[str, tuple[Key, list[str]]] = {
    "RSA": (rsa_key(), RSA),
    "P-256": (ec_key(), ["ES256"]),
    "P-384": (ec_key(ec.SECP384R1), ["ES384"]),
    "P-521": (ec_key(ec.SECP521R1), ["ES512"]),
    "secp256k1": (ec_key(ec.SECP256K1), []),
    "Ed25519": (ed_key(), ["EdDSA"]),
    "Ed448": (Key(ed448.Ed448PrivateKey.generate()), ["EdDSA"]),
}
ALGORITHMS = [*RSA, "ES256", "ES384", "ES512", "ES256K", "EdDSA", "HS256", "HS384", "HS512", "none"]


def signed_anyhow(key: Key, algorithm: str, claims: dict[str, Any]) -> str:
    """Sign with what a key can do, whatever algorithm the token then names.

    A shared secret is the text of the public key, in the form in which the issuer's users have it.
    """
    public = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    named = f"{encoded({'alg': algorithm, 'kid': key.id})}.{encoded(claims)}".encode()
    if algorithm == "none":
        signature = b""
    elif algorithm.startswith("HS"):
        signature = hmac.digest(public, named, f"sha{algorithm[2:]}")
    else:
        own = algorithm if type(key.private) in KEY_TYPE_OF_ALGORITHM[algorithm] else key.algorithm
        signer = jwt.algorithms.get_default_algorithms()[own]
        signature = signer.sign(named, key.private)
    return f"{named.decode()}.{urlsafe(signature)}"


# EdDSA has two, and signs with either.
KEY_TYPE_OF_ALGORITHM: dict[str, set[type[PrivateKey]]] = defaultdict(set)
for _key, _algorithms in KEY_TYPES.values():
    for _algorithm in (*_algorithms, _key.algorithm):
        KEY_TYPE_OF_ALGORITHM[_algorithm].add(type(_key.private))


@pytest.mark.parametrize("named", [True, False], ids=["key names one", "key names none"])
@pytest.mark.parametrize("kind", KEY_TYPES)
def test_each_algorithm_is_accepted_with_a_key_of_its_type_and_no_other(
    served: Issuer, kind: str, named: bool
) -> None:
    key, algorithms = KEY_TYPES[kind]
    for own in [*algorithms, None] if named else [None]:
        listed = {name: value for name, value in key.listed.items() if name != "alg"}
        served.answers[KEYS] = {"keys": [listed | ({"alg": own} if own else {})]}
        tokens = tokens_of(served)
        accepted = []
        for algorithm in ALGORITHMS:
            try:
                user_of(tokens, signed_anyhow(key, algorithm, served.claims("user123")))
            except Unauthorized:
                continue
            accepted.append(algorithm)
        assert accepted == ([own] if own else algorithms)


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        (kind, algorithm)
        for kind, (_, algorithms) in KEY_TYPES.items()
        for algorithm in ALGORITHMS
        if algorithm not in algorithms
    ],
)
def test_key_that_names_an_algorithm_of_another_type_is_ignored(
    served: Issuer, kind: str, algorithm: str
) -> None:
    key, _ = KEY_TYPES[kind]
    served.answers[KEYS] = {"keys": [{**key.listed, "alg": algorithm}, served.key.listed]}
    tokens = tokens_of(served)
    with pytest.raises(Unauthorized):
        user_of(tokens, signed_anyhow(key, algorithm, served.claims("user123")))
    assert user_of(tokens, served.token("user123")) == "user123"


@pytest.mark.parametrize(
    "strange",
    [
        {"kid": 7},
        {"kid": ["a"]},
        {"kid": {}},
        {"kid": True},
        {"key_ops": ["sign"]},
        {"key_ops": ["encrypt", "wrapKey"]},
        {"key_ops": "verify"},
        {"key_ops": 7},
        {"key_ops": {"verify": True}},
        {"use": "enc"},
        {"use": 7},
        {"use": ["sig"]},
        {"crv": "P-999"},
        {"crv": 7},
        {"crv": ["P-256"]},
        {"crv": None},
        {"kty": "strange"},
        {"kty": None},
        {"kty": {}},
        {"alg": "strange"},
        {"alg": ["ES256"]},
        {"x": 7},
        {"x": "AA"},
        {"y": None},
        {"y": "not base64 \u00fc"},
    ],
    ids=str,
)
def test_strange_key_of_the_issuer_is_skipped_and_the_others_work(
    served: Issuer, strange: dict[str, Any]
) -> None:
    key, other = ec_key(**strange), ed_key()
    served.list(key, served.key, other)
    tokens = tokens_of(served)
    with pytest.raises(Unauthorized):
        user_of(tokens, key.sign(served.claims("user123")))
    for sound in (served.key, other):
        assert user_of(tokens, sound.sign(served.claims("user123"))) == "user123"


@pytest.mark.parametrize("field", [{"key_ops": ["verify"]}, {"use": None}, {"alg": None}], ids=str)
def test_key_with_any_sound_optional_field_is_used(served: Issuer, field: dict[str, Any]) -> None:
    key = ec_key(**field)
    served.list(key)
    assert user_of(tokens_of(served), key.sign(served.claims("user123"))) == "user123"


def short_key() -> Key:
    return Key(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505


@pytest.mark.parametrize(
    "make_key",
    [
        short_key,
        lambda: rsa_key(use="enc"),
        lambda: rsa_key(alg="RS512"),
        lambda: rsa_key(kty="oct"),
        lambda: rsa_key(kty=["RSA"]),
        lambda: rsa_key(n=""),
        lambda: ec_key(crv="P-384"),
    ],
    ids=[
        "1024 bits",
        "for encryption",
        "another algorithm",
        "shared secret",
        "key type is a list",
        "without modulus",
        "P-384",
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_unsuitable_key_of_the_issuer_is_ignored(served: Issuer, make_key: Any) -> None:
    unsuitable = make_key()
    served.list(unsuitable, served.key)
    token = unsuitable.sign(served.claims("a"))
    tokens = tokens_of(served)
    with pytest.raises(Unauthorized):
        user_of(tokens, token)
    assert user_of(tokens, served.token("user123")) == "user123"


def test_malformed_entries_in_the_key_list_are_ignored(served: Issuer) -> None:
    served.answers[KEYS] = {"keys": [None, 7, "x", [], {}, served.key.listed]}
    assert user_of(tokens_of(served), served.token("user123")) == "user123"


def test_token_without_a_key_id_is_accepted_only_if_there_is_one_key(served: Issuer) -> None:
    token = jwt.encode(served.claims("user123"), served.key.private, "RS256")
    assert user_of(tokens_of(served), token) == "user123"
    served.list(served.key, ec_key())
    with pytest.raises(Unauthorized):
        user_of(tokens_of(served), token)


def test_key_without_an_id_is_used_only_if_it_is_the_only_key(served: Issuer) -> None:
    token = jwt.encode(served.claims("user123"), served.key.private, "RS256")
    listed = {name: value for name, value in served.key.listed.items() if name != "kid"}
    served.answers[KEYS] = {"keys": [listed]}
    assert user_of(tokens_of(served), token) == "user123"
    served.answers[KEYS] = {"keys": [listed, ec_key().listed]}
    with pytest.raises(Unauthorized):
        user_of(tokens_of(served), token)


# --- requests to the issuer -----------------------------------------------------------------------


def test_several_tokens_cause_one_request_for_keys(served: Issuer) -> None:
    tokens = tokens_of(served)
    for _ in range(3):
        user_of(tokens, served.token("user123"))
    assert served.asked == {CONFIGURATION: 1, KEYS: 1}


def test_issuer_url_with_a_slash_at_the_end_is_accepted(served: Issuer) -> None:
    url = f"{served.url}/"
    served.answers[CONFIGURATION] = {"issuer": url, "jwks_uri": f"{served.url}{KEYS}"}
    tokens = tokens_of(served, url=url)
    assert user_of(tokens, served.token("user123", iss=url)) == "user123"


def test_configured_jwks_url_is_used(served: Issuer) -> None:
    served.answers["/elsewhere"] = served.answers[KEYS]
    tokens = tokens_of(served, jwks_url=f"{served.url}/elsewhere")
    assert user_of(tokens, served.token("user123")) == "user123"
    assert served.asked == {"/elsewhere": 1}


def test_new_key_of_the_issuer_is_fetched(served: Issuer, clock: Clock) -> None:
    tokens = tokens_of(served)
    user_of(tokens, served.token("user123"))
    new = rsa_key()
    served.list(served.key, new)
    clock.now += MIN_REFETCH_S
    assert user_of(tokens, new.sign(served.claims("user456"))) == "user456"
    assert user_of(tokens, served.token("user123")) == "user123"
    assert served.asked[KEYS] == 2


def test_many_unknown_key_ids_cause_few_requests_to_the_issuer(
    served: Issuer, clock: Clock
) -> None:
    tokens = tokens_of(served)
    unknown = ec_key()
    for number in range(100):
        clock.now += MIN_REFETCH_S / 50
        with pytest.raises(Unauthorized):
            user_of(tokens, unknown.sign(served.claims("user123"), kid=str(number)))
    assert served.asked[KEYS] <= 3


def test_removed_key_is_refused_after_its_maximum_age(served: Issuer, clock: Clock) -> None:
    tokens = tokens_of(served)
    token = served.token("user123")
    assert user_of(tokens, token) == "user123"
    served.list(ec_key())
    clock.now += MAX_KEY_AGE_S - 1
    assert user_of(tokens, token) == "user123"
    clock.now += 1
    with pytest.raises(Unauthorized):
        user_of(tokens, token)


def test_failing_issuer_is_asked_again_after_a_pause(served: Issuer, clock: Clock) -> None:
    tokens = tokens_of(served)
    answer, served.answers[KEYS] = served.answers[KEYS], 503
    for _ in range(5):
        with pytest.raises(IssuerUnreachable):
            user_of(tokens, served.token("user123"))
    assert served.asked[KEYS] == 1
    served.answers[KEYS] = answer
    clock.now += MIN_REFETCH_S
    assert user_of(tokens, served.token("user123")) == "user123"


def test_known_keys_are_used_while_the_issuer_fails(served: Issuer, clock: Clock) -> None:
    tokens = tokens_of(served)
    user_of(tokens, served.token("user123"))
    served.answers[KEYS] = 503
    clock.now += MIN_REFETCH_S
    with pytest.raises(IssuerUnreachable):
        user_of(tokens, ec_key().sign(served.claims("user123")))
    assert user_of(tokens, served.token("user123")) == "user123"


@pytest.mark.parametrize(
    "answer",
    [
        500,
        404,
        302,
        b"",
        b"<html>",
        pytest.param(b"[" * 100_000, id="deeply nested"),
        pytest.param([], id="list"),
        pytest.param({"keys": 7}, id="keys are a number"),
    ],
)
def test_token_is_refused_while_the_issuer_lists_no_keys(served: Issuer, answer: Any) -> None:
    served.answers[KEYS] = answer
    with pytest.raises((IssuerUnreachable, Unauthorized)):
        user_of(tokens_of(served), served.token("user123"))


@pytest.mark.parametrize(
    "changes",
    [{"issuer": "https://elsewhere.example"}, {"issuer": None}, {"jwks_uri": None}],
    ids=str,
)
def test_configuration_of_another_issuer_is_refused(
    served: Issuer, changes: dict[str, Any]
) -> None:
    served.answers[CONFIGURATION] |= changes
    with pytest.raises(IssuerUnreachable):
        user_of(tokens_of(served), served.token("user123"))
    assert served.asked[KEYS] == 0


def test_keys_of_an_https_issuer_are_not_fetched_over_http(
    served: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = IssuerClient("https://issuer.example")
    configuration = {"issuer": client.url, "jwks_uri": f"{served.url}{KEYS}"}
    monkeypatch.setattr(issuer_module, "_get", lambda *_: configuration)
    with pytest.raises(IssuerUnreachable, match="not served over HTTPS"):
        client.key("x")


def test_request_to_a_silent_issuer_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_module, "FETCH_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(IssuerUnreachable, match="Timeout"):
            IssuerClient(url).key("x")
    with pytest.raises(IssuerUnreachable):
        IssuerClient(url).key("x")


def test_open_mode_does_not_import_the_token_modules() -> None:
    program = """
import sys
sys.path[:0] = ["on_connect", "shared"]
import lambda_function
assert not {"jwt", "tokens", "issuer"} & sys.modules.keys()
"""
    environment = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "CONNECTIONS_TABLE": "x",
        "SEND_MESSAGE_FUNCTION": "x",
        "MAX_CONNECTIONS": "20",
        "JWT_ISSUER": "",
        "POWERTOOLS_SERVICE_NAME": "x",
    }
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment)
