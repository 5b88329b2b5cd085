"""An OpenID Connect issuer: the keys that it signs tokens with.

Imported only where a deployment has an issuer, like `tokens`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import jwt
import urllib3

from chat.telemetry import logger

MIN_REFETCH_S: Final = 10.0
"""After a fetch, or a failed one, the earliest next one, in seconds."""

MAX_KEY_AGE_S: Final = 3600.0
"""For how long a fetched key is used, in seconds: an issuer revokes one by not listing it."""

# Keys of other algorithms are ignored. A token does not choose its algorithm: https://www.rfc-editor.org/rfc/rfc8725#section-3.1
_ALGORITHM_OF_TYPE: Final = {"RSA": "RS256", "EC": "ES256"}

# Of each of the two fetches.
_TIMEOUT: Final = urllib3.Timeout(connect=1.0, read=1.0)


class IssuerUnreachable(Exception):
    """The issuer's keys cannot be fetched, so no token can be verified. The client is not at fault.

    The exception's only argument is the reason.
    """


class Issuer:
    """The keys of an issuer, kept from one invocation to the next.

    Args:
        url: Its identifier, exactly as tokens have it in ``iss``.
        jwks_url: The URL of its keys; empty to read it from the issuer's configuration.
    """

    def __init__(self, url: str, jwks_url: str = "") -> None:
        self.url = url
        self._jwks_url = jwks_url
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)
        self._keys: dict[str | None, jwt.PyJWK] | None = None
        self._expire_at = 0.0
        self._refetch_at = 0.0

    def key(self, key_id: str | None) -> jwt.PyJWK | None:
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

    def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        listed = self._get(self._jwks_url or self._discover()).get("keys")
        keys = {
            key.key_id: key
            for each in (listed if isinstance(listed, list) else [])
            if (key := _usable(each))
        }
        logger.info("keys fetched", keys=len(keys))
        if len(keys) == 1:
            # Only an issuer of several has to name the one that it took:
            # https://openid.net/specs/openid-connect-core-1_0.html#SigEnc
            return {**keys, None: next(iter(keys.values()))}
        return {key_id: key for key_id, key in keys.items() if key_id is not None}

    def _discover(self) -> str:
        # https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
        found = self._get(f"{self.url.rstrip('/')}/.well-known/openid-configuration")
        jwks_url = found.get("jwks_uri")
        if found.get("issuer") != self.url:
            _raise_unreachable("its configuration names another issuer")
        if not isinstance(jwks_url, str):
            _raise_unreachable("its configuration names no keys")
        if self.url.startswith("https:") and not jwks_url.startswith("https:"):
            _raise_unreachable("its keys are not served over HTTPS")
        return jwks_url

    def _get(self, url: str) -> Mapping[str, Any]:
        try:
            # A redirect is not followed: it could lead to a host that the operator did not choose.
            answer = self._http.request("GET", url, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            _raise_unreachable(type(error).__name__)
        if answer.status != 200:
            _raise_unreachable(f"it answered {answer.status}")
        try:
            found = json.loads(answer.data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            _raise_unreachable("what it answered is no JSON object")
        return found


def _usable(listed: object) -> jwt.PyJWK | None:
    """Read a key from an issuer's list; none if it cannot be used here."""
    if not isinstance(listed, dict) or listed.get("use", "sig") != "sig":
        return None
    algorithm = _ALGORITHM_OF_TYPE.get(str(listed.get("kty")))
    if algorithm is None or listed.get("alg", algorithm) != algorithm:
        return None
    try:
        return jwt.PyJWK(listed, algorithm)
    except jwt.PyJWTError:
        return None


def _raise_unreachable(reason: str) -> NoReturn:
    logger.warning("issuer unreachable", reason=reason)
    raise IssuerUnreachable(reason)
