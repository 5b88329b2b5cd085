"""Mallory keeps a connection open after the token has expired."""

import json
import time
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.attacks.attacked import AttackedBackend, Users
from tests.support.device import TIMEOUT_S
from tests.support.issuer import Issuer


@pytest.fixture
def served(token_backend: AttackedBackend) -> Issuer:
    assert token_backend.issuer is not None
    return token_backend.issuer


def with_token(backend: AttackedBackend, token: str) -> ClientConnection:
    protocols = [Subprotocol("bearer"), Subprotocol(token)]
    return connect(backend.url, subprotocols=protocols, open_timeout=TIMEOUT_S, compression=None)


def sleep_until(moment: float) -> None:
    time.sleep(max(0, moment - time.time()))


def received_until_closed(socket: ClientConnection) -> list[dict[str, Any]]:
    frames = [json.loads(each) for each in socket]
    assert socket.close_code == 1000
    return frames


def test_expired_connection_is_pushed_nothing_and_closed(
    token_backend: AttackedBackend, served: Issuer, users: Users
) -> None:
    expires_at = int(time.time()) + 6
    with (
        with_token(token_backend, served.token(users.mallory, exp=expires_at)) as mallory,
        token_backend.device(users.alice) as alice,
    ):
        chat_id = f"{users.alice}#{users.mallory}"
        assert alice.say(chat_id, "before")["delivered"] == 1
        sleep_until(expires_at)
        assert alice.say(chat_id, "after")["delivered"] == 0
        assert [each["text"] for each in received_until_closed(mallory)] == ["before"]


@pytest.mark.parametrize(
    "frame",
    [
        {"action": "sendmessage", "text": "x"},
        {"action": "sendmessage", "typing": True},
        {"action": "getmessages"},
        {"action": "sendfile", "fileName": "a.txt", "contentType": "text/plain"},
    ],
    ids=str,
)
def test_frame_on_an_expired_connection_gets_unauthorized_and_closes_it(
    token_backend: AttackedBackend, served: Issuer, users: Users, frame: dict[str, Any]
) -> None:
    expires_at = int(time.time()) + 6
    with with_token(token_backend, served.token(users.mallory, exp=expires_at)) as mallory:
        sleep_until(expires_at)
        mallory.send(json.dumps({**frame, "chatId": f"{users.alice}#{users.mallory}"}))
        assert [each["code"] for each in received_until_closed(mallory)] == ["unauthorized"]


def test_expired_token_opens_no_connection(
    token_backend: AttackedBackend, served: Issuer, users: Users
) -> None:
    assert (
        token_backend.refused_status(token=served.token(users.mallory, exp=int(time.time()))) == 401
    )
