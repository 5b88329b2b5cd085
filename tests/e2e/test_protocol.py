"""All that `docs/asyncapi.yaml` says a client receives, it receives; nothing there is stale."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from websockets.exceptions import ConnectionClosed

from tests.e2e.storage import request
from tests.support.blocking_client import connect
from tests.support.device import TIMEOUT_S, device
from tests.support.document import CHAT, SCHEMAS, ref_of
from tests.support.runner import Target, local_runner
from tests.support.users import Pair


def properties() -> set[tuple[str, str]]:
    """List every property of every frame that the document says a client receives."""
    found = set()
    for reference in SCHEMAS["ServerFrame"]["oneOf"]:
        schema = ref_of(reference)
        kind = schema["properties"].get("type", {}).get("const", "gateway")
        found |= {(kind, name) for name in schema["properties"]}
        headers = schema["properties"].get("headers", {})
        found |= {(kind, f"headers.{name}") for name in headers.get("properties", {})}
        if "receipts" in schema["properties"]:
            receipt = schema["properties"]["receipts"]["additionalProperties"]
            found |= {(kind, f"receipts.{name}") for name in receipt["properties"]}
        if "messages" in schema["properties"]:
            items = schema["properties"]["messages"]["items"]
            message, *exceptions = [
                ref_of(each) if "$ref" in each else each for each in items.get("allOf", [items])
            ]
            excluded = {name for each in exceptions for name in each["not"]["required"]}
            found |= {
                (kind, f"messages.{name}") for name in message["properties"].keys() - excluded
            }
    return found


def properties_of(frame: dict[str, Any]) -> set[tuple[str, str]]:
    kind = frame.get("type", "gateway")
    found = {(kind, name) for name in frame}
    found |= {(kind, f"headers.{name}") for name in frame.get("headers", {})}
    for receipt in frame.get("receipts", {}).values():
        found |= {(kind, f"receipts.{name}") for name in receipt}
    for message in frame.get("messages", []):
        found |= {(kind, f"messages.{name}") for name in message}
    return found


@pytest.fixture
def aws() -> Iterator[ThreadedMotoServer]:
    """A DynamoDB and S3 that can be turned off."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server
    server.stop()


def test_every_server_frame_and_field_of_the_document_is_received(
    aws: ThreadedMotoServer, pair: Pair
) -> None:
    host, port = aws.get_host_and_port()
    with local_runner("--aws-endpoint", f"http://{host}:{port}") as target:
        seen = set()
        for frame in conversation(target, pair, aws):
            seen |= properties_of(frame)
    assert seen == properties()


def conversation(target: Target, pair: Pair, aws: ThreadedMotoServer) -> Iterator[dict[str, Any]]:
    """Say everything that there is to say, and give what is answered."""
    chat = {"chatId": pair.chat_id}
    text = {"action": "sendmessage", **chat, "text": "Hello!", "clientMessageId": "c-1"}
    with (
        device(target.url, userId=pair.first) as here,
        device(target.url, userId=pair.first) as tablet,
    ):
        acknowledged = here.ask(text)
        yield acknowledged
        yield tablet.receive()
        yield here.ask(text)
        yield here.ask(text | {"text": ""})
        yield here.ask({"action": "dance"})
        upload = here.ask(
            {"action": "sendfile", **chat, "fileName": "image.jpg", "contentType": "image/jpeg"}
        )
        yield upload
        put = request(
            target,
            upload["method"],
            upload["uploadUrl"],
            headers=upload["headers"],
            content=b"a picture",
        )
        assert put.status_code == 200
        file = {**chat, "fileKey": upload["fileKey"]}
        sent = here.ask({"action": "sendmessage", **file})
        yield sent
        yield here.ask({"action": "sendfile", **file})
        yield here.ask({"action": "getmessages", **chat})
        yield here.ask({"action": "getmessages", **chat, "limit": 1})
        yield here.ask({"action": "getmessages", "since": 0})
        for signal in (
            {"received": sent["timestamp"]},
            {"read": sent["timestamp"]},
            {"typing": True},
        ):
            yield here.ask({"action": "sendmessage", **chat, **signal})
        erase(aws, pair.chat_id, acknowledged["timestamp"])
        yield here.ask(text)
        yield here.ask({"action": "getmessages", **chat})
        yield here.ask(text | {"clientMessageId": "c-2"})
        for _ in range(7):
            yield tablet.receive()
        yield from what_was_missed(target, pair)
        aws.stop()
        yield here.ask({"action": "sendfile", **file})


def erase(aws: ThreadedMotoServer, chat_id: str, timestamp: int) -> None:
    """Replace a text by a tombstone, as the operator does."""
    host, port = aws.get_host_and_port()
    dynamodb = boto3.client(
        "dynamodb", "us-east-1", endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    dynamodb.update_item(
        TableName="ChatMessages",
        Key={"chatId": {"S": chat_id}, "timestamp": {"N": str(timestamp)}},
        UpdateExpression="REMOVE #text SET erased = :true",
        ExpressionAttributeNames={"#text": "text"},
        ExpressionAttributeValues={":true": {"BOOL": True}},
    )


def what_was_missed(target: Target, pair: Pair) -> Iterator[dict[str, Any]]:
    with device(target.url, userId=pair.second, since="0") as back:
        for _ in range(2):
            yield back.receive()


@pytest.mark.parametrize(
    ("data", "text", "code"),
    [
        (b"{}", False, "1003"),
        (b"\xff", True, "1007"),
        (b"x" * (CHAT["x-limits"]["frameBytes"] + 1), True, "1009"),
    ],
    ids=["binary", "not UTF-8", "too large"],
)
def test_close_code_is_that_of_the_document(
    chat_url: str, pair: Pair, data: bytes, text: bool, code: str
) -> None:
    assert code in CHAT["x-close-codes"]
    with connect(f"{chat_url}?userId={pair.first}", timeout_s=TIMEOUT_S) as socket:
        socket.send(data, text=text)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(TIMEOUT_S)
    assert closed.value.rcvd is not None
    assert str(closed.value.rcvd.code) == code


def test_frame_of_the_maximum_size_is_accepted(chat_url: str, pair: Pair) -> None:
    frame = {"action": "sendmessage", "chatId": pair.chat_id, "text": "x", "unknown": ""}
    frame["unknown"] = "x" * (CHAT["x-limits"]["frameBytes"] - len(json.dumps(frame)))
    with device(chat_url, userId=pair.first) as here:
        assert here.ask(frame)["type"] == "ack"
