import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import issuer as issuer_module
from chat.errors import Unauthorized
from issuer import MAX_KEY_AGE_S, MIN_REFETCH_S, IssuerUnreachable
from issuer import Issuer as IssuerClient
from tests.support.backend import ROOT
from tests.support.issuer import AUDIENCE, CONFIGURATION, KEYS, Issuer, Key, ec_key, issuer, rsa_key
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
    client = IssuerClient(served.url, changes.pop("jwks_url", ""))
    return Tokens(client, **{"audience": AUDIENCE, "user_claim": "sub"} | changes)


def test_valid_token_names_its_user(served: Issuer) -> None:
    assert tokens_of(served).user_of(served.token("user123")) == "user123"


def test_token_signed_with_an_elliptic_key_is_accepted(served: Issuer) -> None:
    key = ec_key()
    served.list(served.key, key)
    assert tokens_of(served).user_of(key.sign(served.claims("user123"))) == "user123"


def test_configured_claim_names_the_user(served: Issuer) -> None:
    token = served.token("ignored", email="a@example.com")
    assert tokens_of(served, user_claim="email").user_of(token) == "a@example.com"


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]], ids=str)
def test_token_for_several_audiences_is_accepted(served: Issuer, audience: object) -> None:
    assert tokens_of(served).user_of(served.token("user123", aud=audience)) == "user123"


def test_access_token_of_cognito_is_accepted_by_its_client_id(served: Issuer) -> None:
    token = served.token("user123", aud=None, client_id=AUDIENCE, token_use="access")
    assert tokens_of(served).user_of(token) == "user123"


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
        tokens_of(served).user_of(served.token("user123", **changes))


def test_empty_audience_is_a_configuration_error(served: Issuer) -> None:
    with pytest.raises(ValueError, match="JwtAudience"):
        tokens_of(served, audience="")


@pytest.mark.parametrize("ago", [31, 3600])
def test_expired_token_is_refused(served: Issuer, ago: int) -> None:
    with pytest.raises(Unauthorized, match="expired"):
        tokens_of(served).user_of(served.token("user123", exp=int(time.time()) - ago))


def test_token_is_accepted_if_clocks_differ_by_ten_seconds(served: Issuer) -> None:
    now = int(time.time())
    token = served.token("user123", exp=now - 10, nbf=now + 10)
    assert tokens_of(served).user_of(token) == "user123"


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
        tokens_of(served).user_of(served.token("user123", **changes))


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
        tokens_of(served).user_of(served.token("x", sub=user_id))


@pytest.mark.parametrize("user_id", [7, True, ["user123"], {"a": "b"}], ids=str)
def test_claim_that_is_no_string_is_refused(served: Issuer, user_id: Any) -> None:
    with pytest.raises(Unauthorized, match="`number` is not a user id"):
        tokens_of(served, user_claim="number").user_of(served.token("x", number=user_id))


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
        tokens_of(served).user_of(token)


@given(token=st.text() | st.builds(".".join, st.lists(st.binary().map(urlsafe), max_size=5)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_random_text_is_refused_as_a_token(served: Issuer, token: str) -> None:
    with pytest.raises(Unauthorized):
        tokens_of(served).user_of(token)


def test_unsigned_token_is_refused(served: Issuer) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        header = {"alg": algorithm, "kid": served.key.id}
        token = f"{encoded(header)}.{encoded(served.claims('user123'))}."
        with pytest.raises(Unauthorized):
            tokens_of(served).user_of(token)


def test_token_signed_with_the_public_key_as_shared_secret_is_refused(served: Issuer) -> None:
    """The RSA key is public, so it must not verify a token as a shared secret."""
    public = served.key.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, der, pem.strip()):
        signed = f"{encoded({'alg': 'HS256', 'kid': served.key.id})}.{encoded(served.claims('a'))}"
        mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        with pytest.raises(Unauthorized):
            tokens_of(served).user_of(f"{signed}.{urlsafe(mac.sign(signed.encode(), secret))}")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_token_with_another_algorithm_than_its_key_is_refused(
    served: Issuer, algorithm: str
) -> None:
    claims, headers = served.claims("user123"), {"kid": served.key.id}
    with pytest.raises(Unauthorized):
        tokens_of(served).user_of(jwt.encode(claims, served.key.private, algorithm, headers))


@pytest.mark.parametrize("make_key", [rsa_key, ec_key])
def test_token_of_an_unknown_key_with_a_known_key_id_is_refused(
    served: Issuer, make_key: Any
) -> None:
    with pytest.raises(Unauthorized):
        tokens_of(served).user_of(make_key().sign(served.claims("user123"), kid=served.key.id))


def test_key_in_the_token_header_is_not_used(served: Issuer) -> None:
    own = rsa_key()
    headers = {"jwk": own.listed, "jku": f"{served.url}/attacker", "x5u": f"{served.url}/attacker"}
    with pytest.raises(Unauthorized):
        tokens_of(served).user_of(own.sign(served.claims("user123"), **headers))
    assert served.asked["/attacker"] == 0


def test_token_with_changed_claims_is_refused(served: Issuer) -> None:
    header, _, signature = served.token("user123").split(".")
    with pytest.raises(Unauthorized, match="not valid"):
        tokens_of(served).user_of(f"{header}.{encoded(served.claims('user456'))}.{signature}")


def test_token_with_an_unknown_critical_extension_is_refused(served: Issuer) -> None:
    with pytest.raises(Unauthorized):
        tokens_of(served).user_of(served.key.sign(served.claims("a"), crit=["x"], x=1))


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
        lambda: Key(ec.generate_private_key(ec.SECP256K1()), crv="secp256k1"),
    ],
    ids=[
        "1024 bits",
        "for encryption",
        "another algorithm",
        "shared secret",
        "key type is a list",
        "without modulus",
        "P-384",
        "secp256k1",
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_unsuitable_key_of_the_issuer_is_ignored(served: Issuer, make_key: Any) -> None:
    unsuitable = make_key()
    served.list(unsuitable, served.key)
    algorithm = "ES256K" if unsuitable.listed.get("crv") == "secp256k1" else unsuitable.algorithm
    token = jwt.encode(served.claims("a"), unsuitable.private, algorithm, {"kid": unsuitable.id})
    tokens = tokens_of(served)
    with pytest.raises(Unauthorized):
        tokens.user_of(token)
    assert tokens.user_of(served.token("user123")) == "user123"


def test_malformed_entries_in_the_key_list_are_ignored(served: Issuer) -> None:
    served.answers[KEYS] = {"keys": [None, 7, "x", [], {}, served.key.listed]}
    assert tokens_of(served).user_of(served.token("user123")) == "user123"


def test_token_without_a_key_id_is_accepted_only_if_there_is_one_key(served: Issuer) -> None:
    token = jwt.encode(served.claims("user123"), served.key.private, "RS256")
    assert tokens_of(served).user_of(token) == "user123"
    served.list(served.key, ec_key())
    with pytest.raises(Unauthorized):
        tokens_of(served).user_of(token)


def test_key_without_an_id_is_used_only_if_it_is_the_only_key(served: Issuer) -> None:
    token = jwt.encode(served.claims("user123"), served.key.private, "RS256")
    listed = {name: value for name, value in served.key.listed.items() if name != "kid"}
    served.answers[KEYS] = {"keys": [listed]}
    assert tokens_of(served).user_of(token) == "user123"
    served.answers[KEYS] = {"keys": [listed, ec_key().listed]}
    with pytest.raises(Unauthorized):
        tokens_of(served).user_of(token)


# --- requests to the issuer -----------------------------------------------------------------------


def test_several_tokens_cause_one_request_for_keys(served: Issuer) -> None:
    tokens = tokens_of(served)
    for _ in range(3):
        tokens.user_of(served.token("user123"))
    assert served.asked == {CONFIGURATION: 1, KEYS: 1}


def test_issuer_url_with_a_slash_at_the_end_is_accepted(served: Issuer) -> None:
    url = f"{served.url}/"
    served.answers[CONFIGURATION] = {"issuer": url, "jwks_uri": f"{served.url}{KEYS}"}
    tokens = Tokens(IssuerClient(url), audience=AUDIENCE, user_claim="sub")
    assert tokens.user_of(served.token("user123", iss=url)) == "user123"


def test_configured_jwks_url_is_used(served: Issuer) -> None:
    served.answers["/elsewhere"] = served.answers[KEYS]
    tokens = tokens_of(served, jwks_url=f"{served.url}/elsewhere")
    assert tokens.user_of(served.token("user123")) == "user123"
    assert served.asked == {"/elsewhere": 1}


def test_new_key_of_the_issuer_is_fetched(served: Issuer, clock: Clock) -> None:
    tokens = tokens_of(served)
    tokens.user_of(served.token("user123"))
    new = rsa_key()
    served.list(served.key, new)
    clock.now += MIN_REFETCH_S
    assert tokens.user_of(new.sign(served.claims("user456"))) == "user456"
    assert tokens.user_of(served.token("user123")) == "user123"
    assert served.asked[KEYS] == 2


def test_many_unknown_key_ids_cause_few_requests_to_the_issuer(
    served: Issuer, clock: Clock
) -> None:
    tokens = tokens_of(served)
    unknown = ec_key()
    for number in range(100):
        clock.now += MIN_REFETCH_S / 50
        with pytest.raises(Unauthorized):
            tokens.user_of(unknown.sign(served.claims("user123"), kid=str(number)))
    assert served.asked[KEYS] <= 3


def test_removed_key_is_refused_after_its_maximum_age(served: Issuer, clock: Clock) -> None:
    tokens = tokens_of(served)
    token = served.token("user123")
    assert tokens.user_of(token) == "user123"
    served.list(ec_key())
    clock.now += MAX_KEY_AGE_S - 1
    assert tokens.user_of(token) == "user123"
    clock.now += 1
    with pytest.raises(Unauthorized):
        tokens.user_of(token)


def test_failing_issuer_is_asked_again_after_a_pause(served: Issuer, clock: Clock) -> None:
    tokens = tokens_of(served)
    answer, served.answers[KEYS] = served.answers[KEYS], 503
    for _ in range(5):
        with pytest.raises(IssuerUnreachable):
            tokens.user_of(served.token("user123"))
    assert served.asked[KEYS] == 1
    served.answers[KEYS] = answer
    clock.now += MIN_REFETCH_S
    assert tokens.user_of(served.token("user123")) == "user123"


def test_known_keys_are_used_while_the_issuer_fails(served: Issuer, clock: Clock) -> None:
    tokens = tokens_of(served)
    tokens.user_of(served.token("user123"))
    served.answers[KEYS] = 503
    clock.now += MIN_REFETCH_S
    with pytest.raises(IssuerUnreachable):
        tokens.user_of(ec_key().sign(served.claims("user123")))
    assert tokens.user_of(served.token("user123")) == "user123"


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
        tokens_of(served).user_of(served.token("user123"))


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
        tokens_of(served).user_of(served.token("user123"))
    assert served.asked[KEYS] == 0


def test_keys_of_an_https_issuer_are_not_fetched_over_http(
    served: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = IssuerClient("https://issuer.example")
    configuration = {"issuer": client.url, "jwks_uri": f"{served.url}{KEYS}"}
    monkeypatch.setattr(client, "_get", lambda _: configuration)
    with pytest.raises(IssuerUnreachable, match="not served over HTTPS"):
        client.key("x")


def test_request_to_a_silent_issuer_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(IssuerUnreachable, match="Timeout"):
            IssuerClient(url).key("x")
        assert time.monotonic() - began < 3
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
