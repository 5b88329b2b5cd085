"""A handshake: who opens the connection, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from chat import settings
from chat.errors import Forbidden, Unauthorized
from chat.identity import UserId, claimed_user_id, is_user_id, user_who_connects

if TYPE_CHECKING:
    from chat.tokens import Tokens
    from chat.websocket import Request


class Handshakes:
    """What a container needs to tell who connects.

    An authorizer in front is believed before a token, and a token before the client itself. The
    client is believed only where nobody else is asked: that is the open mode.

    Args:
        tokens: How to read a token; none in the open mode.
    """

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens = tokens

    @classmethod
    def from_environment(cls) -> Self:
        """Ask the deployment's issuer, if it has one."""
        if not settings.jwt_issuer():
            return cls(None)
        from chat.tokens import Tokens  # noqa: PLC0415 -- the open mode does not pay for it

        return cls(Tokens.from_environment())

    def user_of(self, request: Request) -> UserId:
        """Tell who opens a connection.

        Raises:
            Unauthorized: Nobody is named, or nobody vouches for who is.
            InvalidRequest: The client names somebody who cannot exist.
            Forbidden: The client names somebody else than who is vouched for.
            IssuerUnreachable: A token cannot be verified at the moment.
        """
        user_id = self._vouched_for(request)
        if user_id is None:
            return user_who_connects(request.query)
        if claimed_user_id(request.query) not in {"", user_id}:
            raise Forbidden("You are somebody else than `userId` says. Leave it out of the URL.")
        return user_id

    def _vouched_for(self, request: Request) -> UserId | None:
        if request.authorizer:
            return _named_by(request.authorizer)
        if self._tokens:
            return self._tokens.user_of(_token_in(request))
        return None


def _named_by(authorizer: Mapping[str, Any]) -> UserId:
    # Every authorizer has to give a `principalId`, but some give the same to everyone, and put what
    # they know of the user into the context, next to it:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
    user_id = authorizer.get("userId", authorizer.get("principalId"))
    if not isinstance(user_id, str) or not is_user_id(user_id):
        raise Unauthorized("The authorizer let you in, but did not say who you are.")
    return UserId(user_id)


def _token_in(request: Request) -> str:
    # Browsers cannot send headers with a handshake, so the URL comes first.
    if token := request.query.get("token"):
        return token
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized(
            "Say who you are: add ?token=<jwt> to the URL, or send `Authorization: Bearer <jwt>`."
        )
    return token.strip()
