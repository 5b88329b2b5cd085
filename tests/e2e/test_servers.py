"""What servers do with a local runner: they send, and are notified of what waits.

Users have real sockets.
"""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.support.device import device
from tests.support.runner import NO_LAG, LocalRunner, local_runner
from tests.support.subscriber import TOPIC_ARN, Subscriber
from tests.support.users import Pair


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    parameters = ("--parameter-overrides", f"WaitingTopicArn={TOPIC_ARN}")
    with local_runner(*NO_LAG, *parameters) as runner:
        yield runner


def client_of(service: Any, endpoint: str) -> Any:
    """Make a client with credentials, which the local runner does not check."""
    return boto3.client(
        service,
        "us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class Server:
    """A server that sends."""

    def __init__(self, endpoint: str) -> None:
        self._lambda = client_of("lambda", endpoint)

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


def subscribe(run: LocalRunner, name: str, recipient_id: str | None = None) -> Subscriber:
    return Subscriber(lambda service: client_of(service, run.aws_endpoint), name, recipient_id)


def test_queue_receives_exactly_the_messages_that_waited(run: LocalRunner, pair: Pair) -> None:
    everything = subscribe(run, f"all-{pair.first}")
    of_another = subscribe(run, f"filtered-{pair.first}", recipient_id=pair.first)
    with device(run.url, userId=pair.first) as here:
        waiting = [here.say(pair.chat_id, text)["messageId"] for text in ("1", "2")]
        with device(run.url, userId=pair.second) as there:
            assert here.say(pair.chat_id, "3")["delivered"] == 1
            assert there.receive()["text"] == "3"
        last = here.say(pair.chat_id, "4")
        waiting.append(last["messageId"])
    received = everything.received(wait_s=5)
    assert [each["messageId"] for each in received] == waiting
    assert received[-1] == {
        "messageId": last["messageId"],
        "chatId": pair.chat_id,
        "senderId": pair.first,
        "recipientId": pair.second,
        "timestamp": last["timestamp"],
    }
    assert of_another.received() == []


def test_recipient_can_be_filtered(run: LocalRunner, server: Server, pair: Pair) -> None:
    filtered = subscribe(run, f"filtered-{pair.second}", recipient_id=pair.second)
    waiting = server.send(pair)["messageId"]
    server.send(Pair.new())
    assert [each["messageId"] for each in filtered.received(wait_s=5)] == [waiting]
