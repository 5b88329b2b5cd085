"""Check a deployment with two clients: a text, and a file.

``make smoke URL=wss://…``, or ``python -m tests.smoke.smoke --help``.
"""

import argparse
import base64
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import httpx
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from tests.support.blocking_client import BlockingClient, connect

TIMEOUT_S = 10
"""For each answer; a cold start takes less."""
RETRY_S = 60
"""How long to try again: API Gateway deploys its routes some time after the stack is complete."""
_PAUSE_S = 2


class SmokeError(Exception):
    """A step that failed; the message says what did, and where to look."""


class TokenNeededError(SmokeError):
    """The deployment refused clients without a token, as one with an issuer must."""


@dataclass(frozen=True)
class User:
    """A user id, and the query string to connect under it."""

    user_id: str
    query: dict[str, str]

    @classmethod
    def without_token(cls, name: str) -> "User":
        """Return a user that nobody else has."""
        user_id = f"smoke-{name}-{uuid4().hex[:12]}"
        return cls(user_id, {"userId": user_id})

    @classmethod
    def with_token(cls, token: str, claim: str) -> "User":
        """Return the user of a token."""
        _, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return cls(claims[claim], {"token": token})


@dataclass(frozen=True)
class Client:
    """An open connection.

    Attributes:
        name: What the messages of errors call it.
        api: The id of the API, or a placeholder where the URL has none.
    """

    name: str
    api: str
    socket: BlockingClient

    def ask(self, frame: dict[str, Any], wanted: str) -> dict[str, Any]:
        """Send a frame, and return the answer of the wanted type.

        Raises:
            SmokeError: If there is none.
        """
        action = frame["action"]
        self.socket.send(json.dumps(frame))
        answer = self.receive()
        if answer is None:
            raise SmokeError(
                f"{action}: no {wanted} came back. API Gateway drops the answers of functions when"
                " the route responses are not deployed. Look at LastDeploymentStatusMessage:\n"
                f"  aws apigatewayv2 get-stage --api-id {self.api} --stage-name prod"
            )
        if answer.get("type") == wanted:
            return answer
        if answer.get("message") == "Forbidden":
            raise SmokeError(f"{action}: Forbidden. The route is not deployed.")
        if answer.get("code") == "unsupported_type":
            raise SmokeError(f"{action}: pass one of AllowedContentTypes with --content-type.")
        function = "3-send-message" if action == "sendmessage" else "4-send-file"
        raise SmokeError(
            f"{action}: the answer is {answer}. Look at the log of {function}, by its requestId."
        )

    def receive(self) -> dict[str, Any] | None:
        """Return the next frame, or none if it takes too long."""
        try:
            frame: dict[str, Any] = json.loads(self.socket.recv(TIMEOUT_S))
        except TimeoutError:
            return None
        return frame

    def receive_message(self) -> dict[str, Any]:
        """Return the message that was sent to this client.

        Raises:
            SmokeError: If there is none.
        """
        message = self.receive()
        if message is None or message.get("type") != "message":
            raise SmokeError(
                f"sendmessage: it was stored, but {self.name} received {message}. The push failed:"
                " look at the log of 3-send-message, and for execute-api:ManageConnections in its"
                " role."
            )
        return message


def smoke(url: str, users: tuple[User, User], content_type: str) -> Iterator[str]:
    """Do one step after the other, and yield what each has shown.

    Raises:
        SmokeError: If a step fails.
    """
    first, second = users
    with (
        _connected("the first client", url, first) as sender,
        _connected("the second client", url, second) as recipient,
    ):
        yield "two clients connected"
        chat_id = "#".join(sorted((first.user_id, second.user_id)))
        _exchange_text(sender, recipient, chat_id)
        yield "a text was acknowledged, and reached the second client"
        _exchange_file(sender, recipient, chat_id, content_type)
        yield "a file went up, and down to the second client"


def _exchange_text(sender: Client, recipient: Client, chat_id: str) -> None:
    frame = {"action": "sendmessage", "chatId": chat_id, "text": "smoke"}
    sender.ask(frame | {"clientMessageId": uuid4().hex}, "ack")
    recipient.receive_message()


def _exchange_file(sender: Client, recipient: Client, chat_id: str, content_type: str) -> None:
    content = os.urandom(1024)
    file = {"fileName": "smoke", "contentType": content_type, "size": len(content)}
    upload = sender.ask({"action": "sendfile", "chatId": chat_id, **file}, "upload")
    _request("PUT", upload["uploadUrl"], upload["headers"], content)
    frame = {"action": "sendmessage", "chatId": chat_id, "fileKey": upload["fileKey"]}
    sender.ask(frame, "ack")
    message = recipient.receive_message()
    if _request("GET", message["fileUrl"]) != content:
        raise SmokeError("the file that came down is not the one that went up.")


def _request(
    method: str, url: str, headers: dict[str, str] | None = None, content: bytes | None = None
) -> bytes:
    # Without the query, which is a key to the file.
    where = f"{method} {urlsplit(url).scheme}://{urlsplit(url).netloc}"
    try:
        response = httpx.request(method, url, headers=headers, content=content, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise SmokeError(f"{where}: {error}. Look at the bucket, and its region.") from error
    if not response.is_success:
        role = "4-send-file" if method == "PUT" else "3-send-message"
        raise SmokeError(
            f"{where}: status {response.status_code}. The link has the rights of the role of"
            f" {role}: look at it, and at the policy of the bucket.\n{response.text[:500]}"
        )
    return response.content


@contextlib.contextmanager
def _connected(name: str, url: str, user: User) -> Iterator[Client]:
    target = f"{url}?{urlencode(user.query)}"
    try:
        with connect(target, timeout_s=TIMEOUT_S) as socket:
            yield Client(name, _api_of(url), socket)
    except InvalidStatus as error:
        raise _refusal(name, error.response.status_code, user) from error
    except (InvalidHandshake, OSError, TimeoutError) as error:
        raise SmokeError(
            f"{name} cannot connect: {error}. Is the URL the output WebSocketURI?"
        ) from error
    except WebSocketException as error:
        raise SmokeError(f"{name} lost its connection: {error}.") from error


def _refusal(name: str, status: int, user: User) -> SmokeError:
    if status == 401 and "token" not in user.query:
        return TokenNeededError(f"{name} was refused with 401: the deployment needs tokens.")
    look = {
        401: "Is the token valid, and for JwtAudience? The log of 1_on_connect says why not.",
        403: "The URL must end in the stage, /prod, and the stage must be deployed.",
        404: "The URL must end in the stage, /prod.",
    }.get(status, "Look at the log of 1_on_connect.")
    return SmokeError(f"{name} was refused with {status}. {look}")


def _api_of(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return host.partition(".")[0] if ".execute-api." in host else "<api-id>"


def run(url: str, users: tuple[User, User], content_type: str, retry_s: float) -> int:
    """Try until all steps pass or the time is over; return the exit status."""
    deadline = time.monotonic() + retry_s
    while True:
        began = time.monotonic()
        try:
            for shown in smoke(url, users, content_type):
                print(f"{time.monotonic() - began:6.2f} s  {shown}", flush=True)
        except TokenNeededError as error:
            print(f'{error} Nothing else was checked: pass two with TOKENS="<token> <token>".')
            return 0
        except SmokeError as error:
            if time.monotonic() + _PAUSE_S < deadline:
                print(f"Not yet: {str(error).splitlines()[0]}", flush=True)
                time.sleep(_PAUSE_S)
                continue
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
        else:
            print("OK")
            return 0


def main(arguments: list[str] | None = None) -> int:
    """Check the deployment at a URL; return the exit status."""
    parser = argparse.ArgumentParser(description="Check a deployment with two clients.")
    parser.add_argument("url", help="the output WebSocketURI of the stack")
    parser.add_argument("--tokens", nargs=2, metavar="TOKEN", help="of two users, with an issuer")
    parser.add_argument("--user-claim", default="sub", help="JwtUserClaim (%(default)s)")
    parser.add_argument("--content-type", default="image/png", help="of the file (%(default)s)")
    parser.add_argument("--retry", type=float, default=RETRY_S, metavar="SECONDS",
                        help="how long to try again (%(default)s)")  # fmt: skip
    parsed = parser.parse_args(arguments)
    if parsed.tokens:
        first, second = (User.with_token(each, parsed.user_claim) for each in parsed.tokens)
    else:
        first, second = User.without_token("a"), User.without_token("b")
    return run(parsed.url, (first, second), parsed.content_type, parsed.retry)


if __name__ == "__main__":
    sys.exit(main())
