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

from chat import issuer as issuer_module
from chat.errors import Unauthorized
from chat.issuer import MAX_KEY_AGE_S, MIN_REFETCH_S, IssuerUnreachable
from chat.issuer import Issuer as Known
from chat.tokens import Tokens
from tests.support.backend import ROOT
from tests.support.issuer import AUDIENCE, CONFIGURATION, KEYS, Issuer, Key, ec_key, issuer, rsa_key


@pytest.fixture(scope="module")
def _served() -> Iterator[Issuer]:
    with issuer() as served:
        yield served


@pytest.fixture
def served(_served: Issuer) -> Issuer:
    """An issuer in good order, that nobody has asked yet."""
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


def reading(served: Issuer, **changes: Any) -> Tokens:
    known = Known(served.url, changes.pop("jwks_url", ""))
    return Tokens(known, **{"audience": AUDIENCE, "user_claim": "sub"} | changes)


def test_a_good_token_names_its_user(served: Issuer) -> None:
    assert reading(served).user_of(served.token("user123")) == "user123"


def test_elliptic_keys_will_do(served: Issuer) -> None:
    key = ec_key()
    served.list(served.key, key)
    assert reading(served).user_of(key.sign(served.claims("user123"))) == "user123"


def test_another_claim_may_be_the_user(served: Issuer) -> None:
    token = served.token("ignored", email="a@example.com")
    assert reading(served, user_claim="email").user_of(token) == "a@example.com"


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
def test_a_token_may_be_meant_for_several(served: Issuer, audience: object) -> None:
    assert reading(served).user_of(served.token("user123", aud=audience)) == "user123"


def test_an_access_token_of_cognitos_names_its_app_instead(served: Issuer) -> None:
    token = served.token("user123", aud=None, client_id=AUDIENCE, token_use="access")
    assert reading(served).user_of(token) == "user123"


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
)
def test_a_token_for_someone_else_is_refused(served: Issuer, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized, match="not meant"):
        reading(served).user_of(served.token("user123", **changes))


def test_without_an_audience_nothing_starts(served: Issuer) -> None:
    with pytest.raises(ValueError, match="JwtAudience"):
        reading(served, audience="")


@pytest.mark.parametrize("ago", [31, 3600])
def test_an_expired_token_is_refused(served: Issuer, ago: int) -> None:
    with pytest.raises(Unauthorized, match="expired"):
        reading(served).user_of(served.token("user123", exp=int(time.time()) - ago))


def test_clocks_may_differ_a_little(served: Issuer) -> None:
    now = int(time.time())
    token = served.token("user123", exp=now - 10, nbf=now + 10)
    assert reading(served).user_of(token) == "user123"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 3600},
        {"iss": None},
        {"iss": "https://elsewhere.example"},
    ],
)
def test_a_token_that_is_not_of_here_and_now_is_refused(
    served: Issuer, changes: dict[str, Any]
) -> None:
    with pytest.raises(Unauthorized, match="not valid"):
        reading(served).user_of(served.token("user123", **changes))


@pytest.mark.parametrize(
    "user_id", [None, "", "a#b", "a b", "x" * 129, "ünal", "a\n", "user123\u202e"]
)
def test_a_claim_that_is_no_user_id_is_refused(served: Issuer, user_id: Any) -> None:
    with pytest.raises(Unauthorized, match="`sub` is not a user id"):
        reading(served).user_of(served.token("x", sub=user_id))


@pytest.mark.parametrize("user_id", [7, True, ["user123"], {"a": "b"}])
def test_a_claim_that_is_no_text_is_refused(served: Issuer, user_id: Any) -> None:
    with pytest.raises(Unauthorized, match="`number` is not a user id"):
        reading(served, user_claim="number").user_of(served.token("x", number=user_id))


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
        f"{encoded('[' * 20_000)}.{encoded({})}.",
        f"{encoded({'alg': 'RS256', 'kid': 7})}.{encoded({})}.",
        f"{encoded({'alg': 'RS256', 'kid': ['a']})}.{encoded({})}.",
        f"{encoded([])}.{encoded({})}.",
        f"{encoded({'alg': None})}.{encoded('[' * 20_000)}.",
    ],
)
def test_what_is_no_token_is_refused(served: Issuer, token: str) -> None:
    with pytest.raises(Unauthorized):
        reading(served).user_of(token)


@given(token=st.text() | st.builds(".".join, st.lists(st.binary().map(urlsafe), max_size=5)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_at_all_gets_in_or_breaks_anything(served: Issuer, token: str) -> None:
    with pytest.raises(Unauthorized):
        reading(served).user_of(token)


def test_an_unsigned_token_is_refused(served: Issuer) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        header = {"alg": algorithm, "kid": served.key.id}
        token = f"{encoded(header)}.{encoded(served.claims('user123'))}."
        with pytest.raises(Unauthorized):
            reading(served).user_of(token)


def test_a_public_key_is_no_secret_to_sign_with(served: Issuer) -> None:
    """The classic confusion: the RSA key that everyone knows, taken for a shared secret."""
    public = served.key.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, der, pem.strip()):
        signed = f"{encoded({'alg': 'HS256', 'kid': served.key.id})}.{encoded(served.claims('a'))}"
        mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        with pytest.raises(Unauthorized):
            reading(served).user_of(f"{signed}.{urlsafe(mac.sign(signed.encode(), secret))}")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_the_key_says_how_it_signs_and_not_the_token(served: Issuer, algorithm: str) -> None:
    claims, headers = served.claims("user123"), {"kid": served.key.id}
    with pytest.raises(Unauthorized):
        reading(served).user_of(jwt.encode(claims, served.key.private, algorithm, headers))


@pytest.mark.parametrize("forger", [rsa_key, ec_key])
def test_a_stranger_who_borrows_a_keys_name_is_refused(served: Issuer, forger: Any) -> None:
    with pytest.raises(Unauthorized):
        reading(served).user_of(forger().sign(served.claims("user123"), kid=served.key.id))


def test_a_key_that_comes_with_the_token_is_not_believed(served: Issuer) -> None:
    own = rsa_key()
    headers = {"jwk": own.listed, "jku": f"{served.url}/evil", "x5u": f"{served.url}/evil"}
    with pytest.raises(Unauthorized):
        reading(served).user_of(own.sign(served.claims("user123"), **headers))
    assert served.asked["/evil"] == 0


def test_a_token_that_was_changed_is_refused(served: Issuer) -> None:
    header, _, signature = served.token("user123").split(".")
    with pytest.raises(Unauthorized, match="not valid"):
        reading(served).user_of(f"{header}.{encoded(served.claims('user456'))}.{signature}")


def test_a_critical_extension_that_nobody_knows_is_refused(served: Issuer) -> None:
    with pytest.raises(Unauthorized):
        reading(served).user_of(served.key.sign(served.claims("a"), crit=["x"], x=1))


def weak() -> Key:
    return Key(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505


@pytest.mark.parametrize(
    "key",
    [
        weak,
        lambda: rsa_key(use="enc"),
        lambda: rsa_key(alg="RS512"),
        lambda: rsa_key(kty="oct"),
        lambda: rsa_key(kty=["RSA"]),
        lambda: rsa_key(n=""),
        lambda: ec_key(crv="P-384"),
        lambda: Key(ec.generate_private_key(ec.SECP256K1()), crv="secp256k1"),
    ],
    ids=["short", "to encrypt", "other", "shared", "list", "broken", "P-384", "secp256k1"],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_key_that_is_not_fit_to_sign_with_does_not_count(served: Issuer, key: Any) -> None:
    unfit = key()
    served.list(unfit, served.key)
    algorithm = "ES256K" if unfit.listed.get("crv") == "secp256k1" else unfit.algorithm
    token = jwt.encode(served.claims("a"), unfit.private, algorithm, {"kid": unfit.id})
    tokens = reading(served)
    with pytest.raises(Unauthorized):
        tokens.user_of(token)
    assert tokens.user_of(served.token("user123")) == "user123"


def test_things_that_are_no_keys_do_not_matter(served: Issuer) -> None:
    served.answers[KEYS] = {"keys": [None, 7, "x", [], {}, served.key.listed]}
    assert reading(served).user_of(served.token("user123")) == "user123"


def test_a_token_need_not_name_the_only_key(served: Issuer) -> None:
    nameless = jwt.encode(served.claims("user123"), served.key.private, "RS256")
    assert reading(served).user_of(nameless) == "user123"
    served.list(served.key, ec_key())
    with pytest.raises(Unauthorized):
        reading(served).user_of(nameless)


def test_keys_without_names_are_of_use_only_alone(served: Issuer) -> None:
    nameless = jwt.encode(served.claims("user123"), served.key.private, "RS256")
    listed = {name: value for name, value in served.key.listed.items() if name != "kid"}
    served.answers[KEYS] = {"keys": [listed]}
    assert reading(served).user_of(nameless) == "user123"
    served.answers[KEYS] = {"keys": [listed, ec_key().listed]}
    with pytest.raises(Unauthorized):
        reading(served).user_of(nameless)


# --- asking the issuer ----------------------------------------------------------------------------


def test_the_issuer_is_asked_once(served: Issuer) -> None:
    tokens = reading(served)
    for _ in range(3):
        tokens.user_of(served.token("user123"))
    assert served.asked == {CONFIGURATION: 1, KEYS: 1}


def test_an_issuers_url_may_end_in_a_slash(served: Issuer) -> None:
    url = f"{served.url}/"
    served.answers[CONFIGURATION] = {"issuer": url, "jwks_uri": f"{served.url}{KEYS}"}
    tokens = Tokens(Known(url), audience=AUDIENCE, user_claim="sub")
    assert tokens.user_of(served.token("user123", iss=url)) == "user123"


def test_where_the_keys_are_may_be_given(served: Issuer) -> None:
    served.answers["/elsewhere"] = served.answers[KEYS]
    tokens = reading(served, jwks_url=f"{served.url}/elsewhere")
    assert tokens.user_of(served.token("user123")) == "user123"
    assert served.asked == {"/elsewhere": 1}


def test_a_new_key_is_found(served: Issuer, clock: Clock) -> None:
    tokens = reading(served)
    tokens.user_of(served.token("user123"))
    new = rsa_key()
    served.list(served.key, new)
    clock.now += MIN_REFETCH_S
    assert tokens.user_of(new.sign(served.claims("user456"))) == "user456"
    assert tokens.user_of(served.token("user123")) == "user123"
    assert served.asked[KEYS] == 2


def test_garbage_cannot_make_us_hammer_the_issuer(served: Issuer, clock: Clock) -> None:
    tokens = reading(served)
    forger = ec_key()
    for number in range(100):
        clock.now += MIN_REFETCH_S / 50
        with pytest.raises(Unauthorized):
            tokens.user_of(forger.sign(served.claims("user123"), kid=str(number)))
    assert served.asked[KEYS] <= 3


def test_a_key_that_was_taken_back_ends_within_the_hour(served: Issuer, clock: Clock) -> None:
    tokens = reading(served)
    token = served.token("user123")
    assert tokens.user_of(token) == "user123"
    served.list(ec_key())
    clock.now += MAX_KEY_AGE_S - 1
    assert tokens.user_of(token) == "user123"
    clock.now += 1
    with pytest.raises(Unauthorized):
        tokens.user_of(token)


def test_an_issuer_that_fails_for_a_while_is_asked_again(served: Issuer, clock: Clock) -> None:
    tokens = reading(served)
    answer, served.answers[KEYS] = served.answers[KEYS], 503
    for _ in range(5):
        with pytest.raises(IssuerUnreachable):
            tokens.user_of(served.token("user123"))
    assert served.asked[KEYS] == 1
    served.answers[KEYS] = answer
    clock.now += MIN_REFETCH_S
    assert tokens.user_of(served.token("user123")) == "user123"


def test_known_keys_outlast_a_failure(served: Issuer, clock: Clock) -> None:
    tokens = reading(served)
    tokens.user_of(served.token("user123"))
    served.answers[KEYS] = 503
    clock.now += MIN_REFETCH_S
    with pytest.raises(IssuerUnreachable):
        tokens.user_of(ec_key().sign(served.claims("user123")))
    assert tokens.user_of(served.token("user123")) == "user123"


@pytest.mark.parametrize("answer", [500, 404, 302, b"", b"<html>", b"[" * 100_000, [], {"keys": 7}])
def test_an_issuer_that_lists_no_keys_lets_no_one_in(served: Issuer, answer: Any) -> None:
    served.answers[KEYS] = answer
    with pytest.raises((IssuerUnreachable, Unauthorized)):
        reading(served).user_of(served.token("user123"))


@pytest.mark.parametrize(
    "changes", [{"issuer": "https://elsewhere.example"}, {"issuer": None}, {"jwks_uri": None}]
)
def test_a_configuration_that_does_not_fit_is_not_believed(
    served: Issuer, changes: dict[str, Any]
) -> None:
    served.answers[CONFIGURATION] |= changes
    with pytest.raises(IssuerUnreachable):
        reading(served).user_of(served.token("user123"))
    assert served.asked[KEYS] == 0


def test_keys_are_not_fetched_with_less_protection_than_the_issuer_has(
    served: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Known("https://issuer.example")
    configuration = {"issuer": known.url, "jwks_uri": f"{served.url}{KEYS}"}
    monkeypatch.setattr(known, "_get", lambda _: configuration)
    with pytest.raises(IssuerUnreachable, match="not served over HTTPS"):
        known.key("x")


def test_an_issuer_that_is_not_there_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(IssuerUnreachable, match="Timeout"):
            Known(url).key("x")
        assert time.monotonic() - began < 3
    with pytest.raises(IssuerUnreachable):
        Known(url).key("x")


def test_open_mode_does_not_import_what_reads_tokens() -> None:
    program = """
import sys
sys.path[:0] = ["on_connect", "shared"]
import lambda_function
assert not {"jwt", "chat.tokens", "chat.issuer"} & sys.modules.keys()
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
