"""Authentication: find out which user opens a connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from chat.chats import USER_ID_CHARACTERS, UserId, is_user_id
from chat.connections import Connection, Connections
from chat.errors import Forbidden, InvalidRequest, Unauthorized
from chat.push import Push
from chat.server_frames import to_json

if TYPE_CHECKING:
    from chat.websocket import Request

type Verify = Callable[[str], tuple[UserId, int | None]]
"""Returns the user that a token names, and when the connection ends: `tokens.Tokens.user_of`."""


class Authentication:
    """Authenticates handshakes.

    An authorizer in front of the function counts before a token, and a token before `userId` in the
    URL. `userId` alone counts only in the open mode: without an authorizer and without an issuer.
    """

    def __init__(self, verify: Verify | None) -> None:
        self._verify = verify

    @classmethod
    def from_environment(cls, import_verify: Callable[[], Verify]) -> Self:
        """Use the deployment's issuer, if it has one; the open mode does not pay for the import."""
        return cls(import_verify() if os.environ["JWT_ISSUER"] else None)

    def authenticate(self, request: Request) -> Connection:
        """Return the connection that a handshake opens, with its user.

        Raises:
            Unauthorized: No user is named, or the proof is missing or not valid.
            InvalidRequest: `userId` is not a possible user id.
            Forbidden: `userId` differs from the user that is proven.
            IssuerUnreachable: A token cannot be verified at the moment.
        """
        expires_at = None
        if request.authorizer:
            user_id = _user_of_authorizer(request.authorizer)
        elif self._verify:
            user_id, expires_at = self._verify(_token_in(request))
        else:
            user_id = user_id_in(request.query)
        if _claimed_user_id(request.query) not in {"", user_id}:
            raise Forbidden("You are somebody else than `userId` says. Leave it out of the URL.")
        return Connection(request.connection_id, user_id, request.connected_at, expires_at)


class FrameAuthentication:
    """Authenticates frames, by the connections they come on."""

    def __init__(self, connections: Connections, push: Push) -> None:
        self._connections = connections
        self._push = push

    def authenticate(self, request: Request) -> Connection:
        """Return the connection of a frame; close one that may send none.

        Raises:
            Unauthorized: It is not registered, or its token has expired.
        """
        try:
            return self._connections.get(request.connection_id)
        except Unauthorized as refusal:
            # What a handler returns is sent after it has ended: too late on a closed connection.
            error = request.error(refusal.code, str(refusal))
            self._push.close(request.connection_id, to_json(error).encode())
            raise


def user_id_in(query: Mapping[str, str]) -> UserId:
    """Return the user id that a handshake's query string claims. Any client may claim any.

    Raises:
        Unauthorized: The handshake names no user.
        InvalidRequest: It names a user who cannot exist.
    """
    user_id = _claimed_user_id(query)
    if not user_id:
        raise Unauthorized("Say who you are: add ?userId=<id> to the URL.")
    if not is_user_id(user_id):
        raise InvalidRequest(f"`userId` must be 1 to 128 of {USER_ID_CHARACTERS}")
    return UserId(user_id)


def _claimed_user_id(query: Mapping[str, str]) -> str:
    # A `+` in a query string that was not encoded arrives as a space, which no user id holds.
    return query.get("userId", "").replace(" ", "+")


def _user_of_authorizer(authorizer: Mapping[str, Any]) -> UserId:
    # Every authorizer must return a `principalId`, but some return the same for all users, and put
    # the user's id into the context, next to it:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
    user_id = authorizer.get("userId", authorizer.get("principalId"))
    if not isinstance(user_id, str) or not is_user_id(user_id):
        raise Unauthorized("The authorizer let you in, but did not say who you are.")
    return UserId(user_id)


def _token_in(request: Request) -> str:
    if token := request.query.get("token"):
        return token
    # Browsers can send no other header: https://www.rfc-editor.org/rfc/rfc6455#section-1.9
    match request.subprotocols:
        case ["bearer", token, *_]:
            return token
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized(
            "Say who you are: offer the sub-protocols `bearer, <jwt>`, add ?token=<jwt> to the URL,"
            " or send `Authorization: Bearer <jwt>`."
        )
    return token.strip()
