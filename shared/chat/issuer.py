"""An OpenID Connect issuer: the keys that it signs tokens with.

Imported only where a deployment has an issuer, like `chat.tokens`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import jwt
import urllib3

from chat.telemetry import logger

FLOOR_S: Final = 10.0
"""For how long, in seconds, the issuer is not asked again, whatever it answered, or did not."""

TRUSTED_S: Final = 3600.0
"""For how long a key is trusted, in seconds: an issuer takes one back by not listing it."""

# Keys that sign otherwise are left out, and with them the tokens that they signed. A token has no
# say in it: https://www.rfc-editor.org/rfc/rfc8725#section-3.1
_ALGORITHM_OF_TYPE: Final = {"RSA": "RS256", "EC": "ES256"}

# Two questions, of at most 2 s each, leave on_connect 24 of its 28 s.
_TIMEOUT: Final = urllib3.Timeout(connect=1.0, read=1.0)


class IssuerUnreachable(Exception):
    """The issuer's keys cannot be had, so no token can be verified. The client did nothing wrong.

    Attributes:
        reason: What is the matter, in words for the log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Issuer:
    """The keys of an issuer, kept from one invocation to the next.

    Args:
        url: Its identifier: what tokens have for ``iss``, to the letter.
        jwks_url: Where its keys are listed; empty where the issuer itself says so.
    """

    def __init__(self, url: str, jwks_url: str = "") -> None:
        self.url = url
        self._jwks_url = jwks_url
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)
        self._keys: dict[str | None, jwt.PyJWK] | None = None
        self._stale_at = 0.0
        self._ask_again_at = 0.0

    def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """Find the key that a token names, or the only one for a token that names none.

        A key that is not known may be new, so the issuer is asked again, though not at once: who
        makes up names would otherwise have us ask for every one.

        Raises:
            IssuerUnreachable: No key can be had at the moment.
        """
        now = time.monotonic()
        if now >= self._stale_at:
            self._keys = None
        if (self._keys is None or key_id not in self._keys) and now >= self._ask_again_at:
            self._ask_again_at = now + FLOOR_S
            self._keys = self._fetch()
            self._stale_at = now + TRUSTED_S
        if self._keys is None:
            _give_up("it did not answer a moment ago")
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
            _give_up("its configuration names another issuer")
        if not isinstance(jwks_url, str):
            _give_up("its configuration names no keys")
        if self.url.startswith("https:") and not jwks_url.startswith("https:"):
            _give_up("its keys are listed where anyone on the way could change them")
        return jwks_url

    def _get(self, url: str) -> Mapping[str, Any]:
        try:
            # A redirect is not followed: it would lead where nobody who deploys has looked.
            answer = self._http.request("GET", url, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            _give_up(type(error).__name__)
        if answer.status != 200:  # noqa: PLR2004
            _give_up(f"it answered {answer.status}")
        try:
            found = json.loads(answer.data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            _give_up("what it answered is no JSON object")
        return found


def _usable(listed: object) -> jwt.PyJWK | None:
    """Read a key from an issuer's list; none if it is not of use here."""
    if not isinstance(listed, dict) or listed.get("use", "sig") != "sig":
        return None
    algorithm = _ALGORITHM_OF_TYPE.get(str(listed.get("kty")))
    if algorithm is None or listed.get("alg", algorithm) != algorithm:
        return None
    try:
        return jwt.PyJWK(listed, algorithm)
    except jwt.PyJWTError:
        return None


def _give_up(reason: str) -> NoReturn:
    logger.warning("issuer unreachable", reason=reason)
    raise IssuerUnreachable(reason)
