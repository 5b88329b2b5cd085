"""Verify JSON Web Tokens, with which an issuer proves who a user is.

Imported only where a deployment has an issuer. It is not in the layer, because PyJWT and
cryptography, which it needs, ship with on_connect alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Final, Self

import jwt

from chat.chats import UserId, is_user_id
from chat.client_frame import MAX_TIMESTAMP
from chat.errors import Unauthorized
from issuer import Issuer

# Clocks differ. Not for `exp`, because a connection that outlives its token would end at once.
_LEEWAY_S: Final = 30


class EmailNotVerified(Exception):
    """An address that the issuer has not verified may be another user's."""


class Tokens:
    """Verifies an issuer's tokens.

    Args:
        audience: Who they must be made for, by their `audience_claim`.
        user_claim: The claim that holds the user's id.
        ends_connection: Whether a connection ends when its token expires.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        audience: str,
        audience_claim: str,
        user_claim: str,
        ends_connection: bool,
    ) -> None:
        if not audience:
            # An issuer serves many applications. Without this a token for any would do.
            raise ValueError("With an issuer there must be an audience: set JwtAudience.")
        self._issuer = issuer
        self._audience = audience
        self._audience_claim = audience_claim
        self._ends_connection = ends_connection
        self._user_claim = user_claim

    @classmethod
    def from_environment(cls) -> Self:
        """Use the deployment's issuer."""
        return cls(
            Issuer(os.environ["JWT_ISSUER"], os.environ["JWKS_URL"]),
            audience=os.environ["JWT_AUDIENCE"],
            audience_claim=os.environ["JWT_AUDIENCE_CLAIM"],
            ends_connection=os.environ["CLOSE_EXPIRED_CONNECTIONS"] == "true",
            user_claim=os.environ["JWT_USER_CLAIM"],
        )

    def user_of(self, token: str) -> tuple[UserId, int | None]:
        """Return the user that a token names, and when the connection ends, if its token ends it.

        The time is in seconds since 1970.

        Raises:
            Unauthorized: It is not the issuer's, not for this audience, not valid now, or has no
                valid user id. The cause, which is logged, says which.
            IssuerUnreachable: It cannot be verified at the moment.
        """
        claims = self._verify(token)
        if not self._is_meant_for_us(claims):
            message = "The token is not meant for this chat. Log in again."
            raise Unauthorized(message) from jwt.InvalidAudienceError()
        user_id = claims.get(self._user_claim)
        if not isinstance(user_id, str) or not is_user_id(user_id):
            message = f"The token's `{self._user_claim}` is not a user id of this chat."
            raise Unauthorized(message) from jwt.exceptions.InvalidSubjectError()
        # Some issuers write it as a string.
        if self._user_claim == "email" and claims.get("email_verified") not in (True, "true"):
            raise Unauthorized("Verify your email address first.") from EmailNotVerified()
        expires_at = min(int(claims["exp"]), MAX_TIMESTAMP)
        return UserId(user_id), expires_at if self._ends_connection else None

    def _verify(self, token: str) -> Mapping[str, Any]:
        try:
            key = self._issuer.key(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                message = "The token is not signed by this chat's issuer. Log in again."
                raise Unauthorized(message) from jwt.InvalidKeyError()
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=key.algorithms,
                issuer=self._issuer.url,
                leeway=_LEEWAY_S,
                options={
                    "require": ["exp", "iss"],
                    "verify_aud": False,  # below, because issuers have several ways to say it
                    "enforce_minimum_key_length": True,
                },
            )
            _require_unexpired(claims)
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("The token has expired. Log in again.") from error
        except (jwt.PyJWTError, UnicodeEncodeError) as error:
            raise Unauthorized("The token is not valid. Log in again.") from error
        return claims

    def _is_meant_for_us(self, claims: Mapping[str, Any]) -> bool:
        audience = claims.get(self._audience_claim)
        is_default = self._audience_claim == "aud"
        if audience is None and is_default and claims.get("token_use") == "access":
            # Cognito's access tokens have no `aud`, but the id of the app that they are for. In
            # other tokens `client_id` means something else, so it counts in these alone:
            # https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
            audience = claims.get("client_id")
        return self._audience in (audience if isinstance(audience, list) else [audience])


def _require_unexpired(claims: Mapping[str, Any]) -> None:
    if int(claims["exp"]) <= time.time():
        raise jwt.ExpiredSignatureError
