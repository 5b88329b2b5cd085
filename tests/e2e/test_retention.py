"""A deployment with `MessageRetentionDays`, over its sockets, with rows that DynamoDB has yet."""

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.support.device import Device, device
from tests.support.runner import NO_LAG, LocalRunner, local_runner
from tests.support.users import Pair

DAY_S = 24 * 60 * 60


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    with local_runner(*NO_LAG, "--parameter-overrides", "MessageRetentionDays=7") as run:
        yield run


@pytest.fixture
def dynamodb(run: LocalRunner) -> Any:
    return boto3.client(
        "dynamodb",
        "us-east-1",
        endpoint_url=run.aws_endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def let_time_pass(dynamodb: Any, chat_id: str, seconds: int) -> None:
    """Let the rows of a chat have been stored earlier by some time."""
    for row in dynamodb.scan(TableName="ChatMessages")["Items"]:
        if not row["chatId"]["S"].startswith(chat_id):
            continue
        key = {name: row[name] for name in ("chatId", "timestamp")}
        dynamodb.delete_item(TableName="ChatMessages", Key=key)
        for name, unit in (("timestamp", 1000), ("messageTimestamp", 1000), ("ttl", 1)):
            if name in row and row[name] != {"N": "0"}:
                row[name] = {"N": str(int(row[name]["N"]) - seconds * unit)}
        dynamodb.put_item(TableName="ChatMessages", Item=row)


def page(client: Device, pair: Pair) -> list[str]:
    frame = {"action": "getmessages", "chatId": pair.chat_id}
    return [message["text"] for message in client.ask(frame)["messages"]]


def test_message_is_gone_after_the_retention_and_a_resend_is_a_new_one(
    run: LocalRunner, dynamodb: Any
) -> None:
    pair = Pair.new()
    frame = {
        "action": "sendmessage",
        "chatId": pair.chat_id,
        "text": "Hello!",
        "clientMessageId": "c-1",
    }
    with device(run.url, userId=pair.first) as sender:
        first = sender.ask(frame)
        rows = dynamodb.scan(TableName="ChatMessages")["Items"]
        times = [
            int(row["ttl"]["N"]) for row in rows if row["chatId"]["S"].startswith(pair.chat_id)
        ]
        assert len(times) == 2
        assert all(6 < (each - time.time()) / DAY_S < 7.1 for each in times)
        let_time_pass(dynamodb, pair.chat_id, 6 * DAY_S)
        assert page(sender, pair) == ["Hello!"]
        assert sender.ask(frame)["messageId"] == first["messageId"]
        let_time_pass(dynamodb, pair.chat_id, DAY_S + 2)
        assert page(sender, pair) == []
        with device(run.url, userId=pair.second, since="0") as recipient:
            assert recipient.receive()["type"] == "synced"
            new = sender.ask(frame)
            assert new["messageId"] != first["messageId"]
            assert "duplicate" not in new
            assert recipient.receive()["messageId"] == new["messageId"]
        assert page(sender, pair) == ["Hello!"]
