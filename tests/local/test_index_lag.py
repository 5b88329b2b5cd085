"""The lag of the embedded DynamoDB's global secondary indexes."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
import pytest
import pytest_asyncio
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends

from local.storage.embedded import embedded
from local.storage.index_lag import LaggingIndexes

REGION = "us-east-1"
ATTRIBUTES = {"chat": "S", "time": "N", "to": "S"}
SCHEMA: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind} for name, kind in ATTRIBUTES.items()
    ],
    "KeySchema": [
        {"AttributeName": "chat", "KeyType": "HASH"},
        {"AttributeName": "time", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "global",
            "KeySchema": [
                {"AttributeName": "to", "KeyType": "HASH"},
                {"AttributeName": "time", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "local",
            "KeySchema": [
                {"AttributeName": "chat", "KeyType": "HASH"},
                {"AttributeName": "to", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


class Messages:
    """A table with rows `(chat, time, to, text)`, and reads that return the texts."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def item(self, number: int, text: str = "") -> dict[str, Any]:
        return {**self.key(number), "to": {"S": "ann"}, "text": {"S": text or str(number)}}

    def key(self, number: int) -> dict[str, Any]:
        return {"chat": {"S": "a" if number % 2 else "b"}, "time": {"N": str(number)}}

    def put(self, number: int, text: str = "") -> None:
        self.client.put_item(TableName="messages", Item=self.item(number, text))

    def update(self, number: int, text: str) -> None:
        self.client.update_item(TableName="messages", **self.setting(number, text))

    def setting(self, number: int, text: str) -> dict[str, Any]:
        return {
            "Key": self.key(number),
            "UpdateExpression": "SET #t = :t, #to = :to",
            "ExpressionAttributeNames": {"#t": "text", "#to": "to"},
            "ExpressionAttributeValues": {":t": {"S": text}, ":to": {"S": "ann"}},
        }

    def delete(self, number: int) -> None:
        self.client.delete_item(TableName="messages", Key=self.key(number))

    def query(self, **more: Any) -> list[str]:
        pages = self.client.get_paginator("query").paginate(
            TableName="messages",
            IndexName="global",
            KeyConditionExpression="#to = :to",
            ExpressionAttributeNames={"#to": "to"},
            ExpressionAttributeValues={":to": {"S": "ann"}},
            PaginationConfig={"PageSize": 2},
            **more,
        )
        return [item["text"]["S"] for page in pages for item in page["Items"]]

    def scan(self, **more: Any) -> list[str]:
        items = self.client.scan(TableName="messages", **more)["Items"]
        return sorted(item["text"]["S"] for item in items)


class Time:
    """A clock and a lag, both set by the test."""

    now = 1000.0
    lag = 10.0


@pytest.fixture
def moment() -> Time:
    return Time()


@pytest.fixture
def messages(moment: Time) -> Iterator[Messages]:
    with mock_aws(), LaggingIndexes(lambda: moment.lag, lambda: moment.now):
        client = boto3.client("dynamodb", REGION)
        client.create_table(TableName="messages", **SCHEMA)
        yield Messages(client)


def test_index_shows_a_write_after_the_lag(messages: Messages, moment: Time) -> None:
    messages.put(1)
    moment.now += 9
    assert messages.query() == messages.scan(IndexName="global") == []
    moment.now += 1
    assert messages.query() == messages.scan(IndexName="global") == ["1"]


def test_base_table_and_local_index_do_not_lag(messages: Messages) -> None:
    messages.put(1)
    got = messages.client.get_item(TableName="messages", Key=messages.key(1))
    assert got["Item"]["text"]["S"] == "1"
    assert messages.scan() == messages.scan(IndexName="local") == ["1"]
    assert messages.scan(ConsistentRead=True) == ["1"]


def test_index_shows_the_old_row_until_an_update_or_a_delete_is_visible(
    messages: Messages, moment: Time
) -> None:
    messages.put(1)
    messages.put(2)
    moment.now += 10
    messages.update(1, "new")
    messages.delete(2)
    assert messages.query() == ["1", "2"]
    assert messages.scan() == ["new"]
    moment.now += 10
    assert messages.query() == ["new"]


def test_update_that_makes_a_row_becomes_visible_in_one_piece(
    messages: Messages, moment: Time
) -> None:
    messages.update(1, "new")
    assert messages.query() == []
    moment.now += 10
    assert messages.query() == ["new"]


def test_writes_to_one_row_become_visible_in_their_order(messages: Messages, moment: Time) -> None:
    messages.put(1, "first")
    moment.lag = 1
    messages.update(1, "second")
    messages.put(2)
    moment.now += 1
    assert messages.query() == ["2"]  # another row does not wait
    moment.now += 9
    assert messages.query() == ["second", "2"]
    messages.put(1, "third")
    moment.now += 1
    assert messages.query() == ["third", "2"]


def test_lag_of_zero_shows_a_write_at_once(messages: Messages, moment: Time) -> None:
    moment.lag = 0
    messages.put(1)
    assert messages.query() == ["1"]


def test_batch_of_writes_lags(messages: Messages, moment: Time) -> None:
    puts = [{"PutRequest": {"Item": messages.item(number)}} for number in (1, 2)]
    messages.client.batch_write_item(RequestItems={"messages": puts})
    assert messages.query() == []
    moment.now += 10
    assert messages.query() == ["1", "2"]


def transaction(messages: Messages, *, cancelled: bool) -> None:
    table = {"TableName": "messages"}
    condition = f"attribute_{'' if cancelled else 'not_'}exists(chat)"
    messages.client.transact_write_items(
        TransactItems=[
            {"Put": {**table, "Item": messages.item(3)}},
            {"Update": {**table, **messages.setting(1, "updated")}},
            {"Delete": {**table, "Key": messages.key(2)}},
            {
                "ConditionCheck": {
                    **table,
                    "Key": messages.key(9),
                    "ConditionExpression": condition,
                }
            },
        ]
    )


def test_transaction_lags(messages: Messages, moment: Time) -> None:
    messages.put(1)
    messages.put(2)
    moment.now += 10
    transaction(messages, cancelled=False)
    assert messages.query() == ["1", "2"]
    moment.now += 10
    assert messages.query() == ["updated", "3"]


def test_cancelled_transaction_never_shows_and_loses_no_earlier_write(
    messages: Messages, moment: Time
) -> None:
    messages.put(1)
    messages.put(2)
    with pytest.raises(ClientError, match="TransactionCanceled"):
        transaction(messages, cancelled=True)
    assert messages.query() == []
    moment.now += 10
    assert messages.query() == ["1", "2"]
    moment.now += 10
    assert messages.query() == messages.scan() == ["1", "2"]


def test_refused_write_never_shows(messages: Messages, moment: Time) -> None:
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        messages.client.put_item(
            TableName="messages",
            Item=messages.item(1),
            ConditionExpression="attribute_exists(chat)",
        )
    moment.now += 10
    assert messages.query() == []


def test_result_pages_of_an_index_query_follow_one_another(
    messages: Messages, moment: Time
) -> None:
    for number in (5, 2, 4, 1, 3):
        messages.put(number)
    moment.now += 10
    messages.put(6)
    assert messages.query() == ["1", "2", "3", "4", "5"]
    assert messages.query(ScanIndexForward=False) == ["5", "4", "3", "2", "1"]


def test_index_of_a_new_table_of_the_same_name_is_empty(messages: Messages, moment: Time) -> None:
    messages.put(1)
    moment.now += 10
    messages.client.delete_table(TableName="messages")
    messages.client.create_table(TableName="messages", **SCHEMA)
    assert messages.query() == []


def test_table_with_unread_indexes_keeps_only_pending_writes(
    messages: Messages, moment: Time
) -> None:
    for _ in range(50):
        messages.put(1)
        moment.now += 1
    (region,) = (each[REGION] for each in dynamodb_backends.values())
    view = region.tables["messages"].__dict__["_index_lag"]
    assert len(view._pending) <= 10


def test_table_without_global_indexes_does_not_change(messages: Messages) -> None:
    client = messages.client
    client.create_table(
        TableName="plain",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    client.put_item(TableName="plain", Item={"id": {"S": "a"}})
    assert client.scan(TableName="plain")["Count"] == 1


def test_uninstalled_indexes_are_up_to_date() -> None:
    lagging = LaggingIndexes(lambda: 10)
    with mock_aws():
        client = boto3.client("dynamodb", REGION)
        client.create_table(TableName="messages", **SCHEMA)
        messages = Messages(client)
        with lagging:
            messages.put(1)
            assert messages.query() == []
            with pytest.raises(RuntimeError, match="already"):
                LaggingIndexes(lambda: 1).install()
        assert messages.query() == ["1"]
        messages.put(2)
        with lagging:  # what was written in between is there
            assert messages.query() == ["1", "2"]


LAG_S = 0.5


WRITE_S = 0.2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with embedded((LAG_S, LAG_S), (WRITE_S, WRITE_S)) as url:
        yield url


def test_write_takes_as_long_as_the_delay_and_a_read_does_not(url: str) -> None:
    client = boto3.client(
        "dynamodb", REGION, endpoint_url=url, aws_access_key_id="any", aws_secret_access_key="any"
    )
    client.create_table(TableName="slow", **SCHEMA)
    start = time.monotonic()
    client.put_item(TableName="slow", Item={"chat": {"S": "a"}, "time": {"N": "1"}})
    assert time.monotonic() - start >= WRITE_S
    start = time.monotonic()
    client.scan(TableName="slow")
    assert time.monotonic() - start < WRITE_S
    client.close()


def test_embedded_indexes_lag_with_all_patches_of_moto(url: str) -> None:
    client = boto3.client(
        "dynamodb", REGION, endpoint_url=url, aws_access_key_id="any", aws_secret_access_key="any"
    )
    client.create_table(TableName="messages", **SCHEMA)
    messages = Messages(client)

    def wait_for(texts: list[str]) -> None:
        deadline = time.monotonic() + 20
        while messages.query() != texts:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    start = time.monotonic()
    for number in (2, 1):
        messages.put(number)
    assert messages.scan() == messages.scan(IndexName="local") == ["1", "2"]
    wait_for(["1", "2"])
    assert time.monotonic() - start >= LAG_S

    with pytest.raises(ClientError, match="TransactionCanceled"):
        transaction(messages, cancelled=True)
    messages.put(4)
    wait_for(["1", "2", "4"])  # the lag is a fixed one: what was written before shows before
    assert messages.scan() == ["1", "2", "4"]

    start = time.monotonic()
    transaction(messages, cancelled=False)
    messages.delete(4)
    wait_for(["updated", "3"])
    assert time.monotonic() - start >= LAG_S
    client.close()
