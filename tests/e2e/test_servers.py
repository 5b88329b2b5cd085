"""A server sends by Lambda's Invoke, to a local runner; its users have real sockets."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.support.device import device
from tests.support.runner import NO_LAG, LocalRunner, local_runner
from tests.support.users import Pair


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    with local_runner(*NO_LAG) as runner:
        yield runner


class Server:
    """A server with credentials, which the local runner does not check."""

    def __init__(self, endpoint: str) -> None:
        self._lambda = boto3.client(
            "lambda",
            "us-east-1",
            endpoint_url=endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def send(self, pair: Pair, **fields: Any) -> dict[str, Any]:
        """Send as the first of the two users; return the answer."""
        message = {"senderId": pair.first, "chatId": pair.chat_id, "text": "Hello!", **fields}
        answer = self._lambda.invoke(
            FunctionName="3-send-message", Payload=json.dumps({"send": message})
        )
        assert "FunctionError" not in answer
        frame: dict[str, Any] = json.loads(answer["Payload"].read())
        return frame


@pytest.fixture(scope="module")
def server(run: LocalRunner) -> Server:
    return Server(run.origin)


def test_message_of_a_server_arrives_live(run: LocalRunner, server: Server, pair: Pair) -> None:
    with device(run.url, userId=pair.second) as there, device(run.url, userId=pair.first) as desk:
        ack = server.send(pair)
        assert (ack["type"], ack["delivered"]) == ("ack", 1)
        assert there.receive() == desk.receive() == {
            "type": "message",
            "messageId": ack["messageId"],
            "chatId": pair.chat_id,
            "senderId": pair.first,
            "recipientId": pair.second,
            "timestamp": ack["timestamp"],
            "text": "Hello!",
        }  # fmt: skip


def test_message_of_a_server_arrives_once_the_user_is_back(
    run: LocalRunner, server: Server, pair: Pair
) -> None:
    ack = server.send(pair)
    assert ack["delivered"] == 0
    with device(run.url, userId=pair.second, since="0") as back:
        (message,) = back.receive()["messages"]
        assert (message["messageId"], message["text"]) == (ack["messageId"], "Hello!")
        assert back.receive()["count"] == 1


def test_message_that_a_server_sends_twice_arrives_once(
    run: LocalRunner, server: Server, pair: Pair
) -> None:
    first, second = (server.send(pair, clientMessageId="c-1") for _ in range(2))
    assert second == first | {"duplicate": True}
    with device(run.url, userId=pair.second, since="0") as back:
        assert len(back.receive()["messages"]) == 1


def test_refused_request_of_a_server_is_answered_with_an_error(server: Server, pair: Pair) -> None:
    error = server.send(pair, senderId="mallory")
    assert (error["type"], error["code"]) == ("error", "forbidden")
    assert error["requestId"]
