"""An OpenID Connect issuer: the keys that it signs tokens with.

Imported only where a deployment has an issuer, like `tokens`.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import urlsplit

import jwt

from chat.telemetry import logger

MIN_REFETCH_S: Final = 10.0
"""After a fetch, or a failed one, the earliest next one, in seconds."""

MAX_KEY_AGE_S: Final = 3600.0
"""For how long a fetched key is used, in seconds: an issuer revokes one by not listing it."""

FETCH_TIMEOUT_S: Final = 4.0
"""For how long a fetch lasts, in seconds, both of its requests together."""

_CONNECT_TIMEOUT_S: Final = 1.0

MAX_ANSWER_BYTES: Final = 1024 * 1024

# By a key's curve, or type. A token does not choose: https://www.rfc-editor.org/rfc/rfc8725#section-3.1
_ALGORITHMS: Final = {
    "RSA": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "P-256": ["ES256"],
    "P-384": ["ES384"],
    "P-521": ["ES512"],
    "Ed25519": ["EdDSA"],
    "Ed448": ["EdDSA"],
}


class IssuerUnreachable(Exception):
    """The issuer's keys cannot be fetched, so no token can be verified. The client is not at fault.

    The exception's only argument is the reason.
    """


class Key(NamedTuple):
    """A public key of an issuer, and the algorithms that it verifies."""

    id: str | None
    public: Any
    algorithms: Sequence[str]


class Issuer:
    """The keys of an issuer, kept from one invocation to the next.

    Args:
        url: Its identifier, exactly as tokens have it in ``iss``.
        jwks_url: The URL of its keys; empty to read it from the issuer's configuration.
    """

    def __init__(self, url: str, jwks_url: str = "") -> None:
        self.url = url
        self._jwks_url = jwks_url
        self._keys: dict[str | None, Key] | None = None
        self._expire_at = 0.0
        self._refetch_at = 0.0

    def key(self, key_id: str | None) -> Key | None:
        """Return the key that a token names, or the only one for a token that names none.

        An unknown key may be new, so the keys are fetched again, but at most once in
        `MIN_REFETCH_S`: otherwise tokens with invented names would cause a fetch each.

        Raises:
            IssuerUnreachable: The keys cannot be fetched at the moment.
        """
        now = time.monotonic()
        if now >= self._expire_at:
            self._keys = None
        if (self._keys is None or key_id not in self._keys) and now >= self._refetch_at:
            self._refetch_at = now + MIN_REFETCH_S
            self._keys = self._fetch()
            self._expire_at = now + MAX_KEY_AGE_S
        if self._keys is None:
            _raise_unreachable("it did not answer a moment ago")
        return self._keys.get(key_id)

    def _fetch(self) -> dict[str | None, Key]:
        deadline = time.monotonic() + FETCH_TIMEOUT_S
        listed = _get(self._jwks_url or self._discover(deadline), deadline).get("keys")
        keys = {
            key.id: key
            for each in (listed if isinstance(listed, list) else [])
            if (key := _usable(each))
        }
        logger.info("keys fetched", keys=len(keys))
        if len(keys) == 1:
            # Only an issuer of several has to name the one that it took:
            # https://openid.net/specs/openid-connect-core-1_0.html#SigEnc
            return {**keys, None: next(iter(keys.values()))}
        return {key_id: key for key_id, key in keys.items() if key_id is not None}

    def _discover(self, deadline: float) -> str:
        # https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
        found = _get(f"{self.url.rstrip('/')}/.well-known/openid-configuration", deadline)
        jwks_url = found.get("jwks_uri")
        if found.get("issuer") != self.url:
            _raise_unreachable("its configuration names another issuer")
        if not isinstance(jwks_url, str):
            _raise_unreachable("its configuration names no keys")
        if self.url.startswith("https:") and not jwks_url.startswith("https:"):
            _raise_unreachable("its keys are not served over HTTPS")
        return jwks_url


def _get(url: str, deadline: float) -> Mapping[str, Any]:
    try:
        status, body = _request(url, deadline)
    except (OSError, HTTPException, ValueError) as error:
        _raise_unreachable("Timeout" if time.monotonic() >= deadline else type(error).__name__)
    if status != 200:
        _raise_unreachable(f"it answered {status}")
    if len(body) > MAX_ANSWER_BYTES:
        _raise_unreachable("its answer is too large")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        _raise_unreachable("what it answered is no JSON object")
    return found


def _request(url: str, deadline: float) -> tuple[int, bytes]:
    """GET a URL; return the status, and the answer up to one byte more than it may have.

    A redirect is not followed: it could lead to a host that the operator did not choose.
    """
    parts = urlsplit(url)
    is_https = parts.scheme == "https"
    http = (HTTPSConnection if is_https else HTTPConnection)(parts.hostname or "", parts.port)
    with _connect(http.host, http.port, deadline) as plain, plain.dup() as same:
        # The timeout of a socket begins again with each byte that comes.
        timer = Timer(_left_s(deadline), _shut_down, [same])
        timer.start()
        try:
            http.sock = plain
            if is_https:
                context = ssl.create_default_context()
                http.sock = context.wrap_socket(plain, server_hostname=http.host)
            target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
            http.request("GET", target, headers={"User-Agent": "serverless-chat-backend"})
            answer = http.getresponse()
            return answer.status, answer.read(MAX_ANSWER_BYTES + 1)
        finally:
            timer.cancel()
            timer.join()
            http.close()


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address of a host that answers."""
    failure = OSError("it has no address")
    for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind)
        # Not all of the time, because another address may answer.
        connection.settimeout(min(_CONNECT_TIMEOUT_S, _left_s(deadline)))
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            connection.settimeout(_left_s(deadline))
            return connection
    raise failure


def _left_s(deadline: float) -> float:
    # A socket with a timeout of 0 does not wait at all, and raises another error.
    return max(0.001, deadline - time.monotonic())


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # the issuer was first
        connection.shutdown(socket.SHUT_RDWR)


def _usable(listed: object) -> Key | None:
    """Read a key from an issuer's list; none if it cannot be used here."""
    if not isinstance(listed, dict) or listed.get("use") not in (None, "sig"):
        return None
    key_id, operations = listed.get("kid"), listed.get("key_ops") or ["verify"]
    if not isinstance(key_id, str | None) or not isinstance(operations, list):
        return None
    kind = listed.get("kty") if listed.get("kty") == "RSA" else listed.get("crv")
    named = listed.get("alg")
    algorithms = [each for each in _ALGORITHMS.get(str(kind), []) if named in (None, each)]
    if "verify" not in operations or not algorithms:
        return None
    try:
        return Key(key_id, jwt.PyJWK(listed, algorithms[0]).key, algorithms)
    except jwt.PyJWTError:
        return None


def _raise_unreachable(reason: str) -> NoReturn:
    logger.warning("issuer unreachable", reason=reason)
    raise IssuerUnreachable(reason)
