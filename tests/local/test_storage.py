"""The embedded DynamoDB and S3."""

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import httpx
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError

from local.credentials import EMBEDDED
from local.storage.create import create
from local.storage.embedded import embedded
from local.template.model import Storage

TABLE = Storage(
    "AWS::DynamoDB::Table",
    "things",
    {
        "TableName": "things",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
    },
)
BUCKET = Storage(
    "AWS::S3::Bucket",
    "files",
    {
        "CorsConfiguration": {
            "CorsRules": [
                {
                    "Id": "web",
                    "AllowedMethods": ["PUT"],
                    "AllowedOrigins": ["https://chat.example"],
                    "AllowedHeaders": ["*"],
                    "MaxAge": 60,
                }
            ]
        }
    },
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with embedded() as url:
        yield url


@pytest.fixture(scope="module", params=["us-east-1", "eu-west-1"])
def opened(request: pytest.FixtureRequest, url: str) -> Iterator[dict[str, Any]]:
    session = boto3.Session(
        EMBEDDED.access_key, EMBEDDED.secret_key, EMBEDDED.session_token, region_name=request.param
    )
    config = Config(signature_version="s3v4")
    clients = {
        "dynamodb": session.client("dynamodb", endpoint_url=url),
        "s3": session.client("s3", endpoint_url=url, config=config),
    }
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def clients(opened: dict[str, Any], url: str) -> Iterator[dict[str, Any]]:
    create([TABLE, BUCKET], url, opened["s3"].meta.region_name)
    yield opened
    for table in opened["dynamodb"].list_tables()["TableNames"]:
        opened["dynamodb"].delete_table(TableName=table)
    for file in opened["s3"].list_objects_v2(Bucket="files").get("Contents", []):
        opened["s3"].delete_object(Bucket="files", Key=file["Key"])
    opened["s3"].delete_bucket(Bucket="files")


def test_existing_table_and_bucket_stay_unchanged(clients: dict[str, Any], url: str) -> None:
    clients["dynamodb"].put_item(TableName="things", Item={"id": {"S": "kept"}})
    create([TABLE, BUCKET], url, clients["s3"].meta.region_name)
    assert clients["dynamodb"].scan(TableName="things")["Count"] == 1


def test_table_has_the_stream_and_ttl_of_the_template(clients: dict[str, Any]) -> None:
    table = clients["dynamodb"].describe_table(TableName="things")["Table"]
    assert table["StreamSpecification"]["StreamEnabled"]
    ttl = clients["dynamodb"].describe_time_to_live(TableName="things")
    assert ttl["TimeToLiveDescription"]["AttributeName"] == "ttl"


def test_one_of_concurrent_conditional_writes_succeeds(clients: dict[str, Any]) -> None:
    def put(number: int) -> bool:
        try:
            clients["dynamodb"].put_item(
                TableName="things",
                Item={"id": {"S": "same"}, "number": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(id)",
            )
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(put, range(40))) == 1


def test_file_is_uploaded_and_downloaded_by_presigned_urls(clients: dict[str, Any]) -> None:
    key = {"Bucket": "files", "Key": "a#b/1/Grüße & co.txt"}
    upload = clients["s3"].generate_presigned_url(
        "put_object", {**key, "ContentType": "text/plain"}
    )
    assert httpx.put(upload, content=b"hello", headers={"Content-Type": "text/plain"}).is_success
    download = httpx.get(clients["s3"].generate_presigned_url("get_object", key))
    assert (download.content, download.headers["content-type"]) == (b"hello", "text/plain")


def by_form(clients: dict[str, Any], **changes: Any) -> httpx.Response:
    """Upload a file by a form, as a client does that changes some of its fields."""
    how: dict[str, Any] = {"content": b"hello", "expires": 60} | changes
    post = clients["s3"].generate_presigned_post(
        "files",
        "form.txt",
        Fields={"Content-Type": "text/plain"},
        Conditions=[["starts-with", "$Content-Type", "text/"], ["content-length-range", 1, 9]],
        ExpiresIn=how.pop("expires"),
    )
    content = how.pop("content")
    fields = {**post["fields"], **how}
    return httpx.post(post["url"], data=fields, files={"file": content})


def test_file_is_uploaded_by_a_signed_form(clients: dict[str, Any]) -> None:
    assert by_form(clients).status_code == 204
    stored = clients["s3"].get_object(Bucket="files", Key="form.txt")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"hello", "text/plain")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"x-amz-signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({"policy": "e30="}, 403, "SignatureDoesNotMatch"),
        ({"x-amz-security-token": "guess"}, 400, "InvalidToken"),
        ({"key": "another"}, 403, "AccessDenied"),
        ({"Content-Type": "image/png"}, 403, "AccessDenied"),
        ({"acl": "public-read"}, 403, "AccessDenied"),
        ({"expires": -1}, 403, "AccessDenied"),
        ({"content": b"0123456789"}, 400, "EntityTooLarge"),
        ({"content": b""}, 400, "EntityTooSmall"),
    ],
)
def test_form_that_differs_from_its_policy_is_refused(
    clients: dict[str, Any], changes: dict[str, Any], status: int, code: str
) -> None:
    answer = by_form(clients, **changes)
    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True)
    assert "Contents" not in clients["s3"].list_objects_v2(Bucket="files")


def test_form_without_a_policy_is_refused(clients: dict[str, Any], url: str) -> None:
    assert clients["s3"]
    answer = httpx.post(f"{url}/files", data={"key": "x"}, files={"file": b"hello"})
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)


def test_bucket_has_the_cors_rules_of_the_template(clients: dict[str, Any]) -> None:
    (rule,) = clients["s3"].get_bucket_cors(Bucket="files")["CORSRules"]
    assert (rule["ID"], rule["MaxAgeSeconds"]) == ("web", 60)
    assert rule["AllowedOrigins"] == ["https://chat.example"]


def test_cancelled_transaction_changes_nothing(clients: dict[str, Any]) -> None:
    dynamodb = clients["dynamodb"]
    for name in ("updated", "deleted", "replaced"):
        dynamodb.put_item(TableName="things", Item={"id": {"S": name}, "n": {"N": "1"}})
    before = dynamodb.scan(TableName="things")["Items"]

    def key(name: str) -> dict[str, Any]:
        return {"TableName": "things", "Key": {"id": {"S": name}}}

    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as cancelled:
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "things", "Item": {"id": {"S": "new"}}}},
                {"Put": {"TableName": "things", "Item": {"id": {"S": "replaced"}}}},
                {"Delete": key("deleted")},
                {
                    "Update": {
                        **key("updated"),
                        "UpdateExpression": "SET n = :n",
                        "ExpressionAttributeValues": {":n": {"N": "2"}},
                    }
                },
                {"ConditionCheck": {**key("none"), "ConditionExpression": "attribute_exists(id)"}},
            ]
        )
    reasons = cancelled.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None"] * 4 + ["ConditionalCheckFailed"]
    after = dynamodb.scan(TableName="things")["Items"]
    assert sorted(after, key=str) == sorted(before, key=str)


def test_transaction_writes_all_items(clients: dict[str, Any]) -> None:
    dynamodb = clients["dynamodb"]
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "things", "Item": {"id": {"S": name}}}} for name in "ab"
        ]
    )
    assert len(dynamodb.scan(TableName="things")["Items"]) == 2


MESSAGES = Storage(
    "AWS::DynamoDB::Table",
    "messages",
    {
        "TableName": "messages",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "chat", "AttributeType": "S"},
            {"AttributeName": "time", "AttributeType": "N"},
            {"AttributeName": "to", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "chat", "KeyType": "HASH"},
            {"AttributeName": "time", "KeyType": "RANGE"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "to-index",
                "KeySchema": [
                    {"AttributeName": "to", "KeyType": "HASH"},
                    {"AttributeName": "time", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    },
)


@pytest.mark.parametrize(
    ("index", "key", "value", "expected"),
    [
        (None, "chat", "a", [1, 3, 5]),
        (None, "chat", "nowhere", []),
        ("to-index", "to", "ann", [1, 2, 3, 4, 5]),
        ("to-index", "to", "nobody", []),
    ],
)
def test_query_result_pages_are_sorted(
    clients: dict[str, Any], index: str | None, key: str, value: str, expected: list[int]
) -> None:
    dynamodb = clients["dynamodb"]
    create([MESSAGES], dynamodb.meta.endpoint_url, dynamodb.meta.region_name)
    for time in (5, 2, 4, 1, 3):
        item = {"chat": "a" if time % 2 else "b", "to": "ann"}
        dynamodb.put_item(
            TableName="messages",
            Item={"time": {"N": str(time)}, **{name: {"S": text} for name, text in item.items()}},
        )
    query = {
        "TableName": "messages",
        "KeyConditionExpression": "#k = :v",
        "ExpressionAttributeNames": {"#k": key},
        "ExpressionAttributeValues": {":v": {"S": value}},
        **({"IndexName": index} if index else {}),
    }
    pages = dynamodb.get_paginator("query").paginate(**query, PaginationConfig={"PageSize": 2})
    assert [int(item["time"]["N"]) for page in pages for item in page["Items"]] == expected
    backwards = dynamodb.query(**query, ScanIndexForward=False)["Items"]
    assert [int(item["time"]["N"]) for item in backwards] == expected[::-1]


def test_cancelled_transaction_leaves_no_record_in_the_stream(
    clients: dict[str, Any], url: str
) -> None:
    dynamodb = clients["dynamodb"]
    streams = boto3.client(
        "dynamodbstreams",
        dynamodb.meta.region_name,
        endpoint_url=url,
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    dynamodb.put_item(TableName="things", Item={"id": {"S": "first"}})
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "things", "Item": {"id": {"S": "second"}}}},
                {
                    "ConditionCheck": {
                        "TableName": "things",
                        "Key": {"id": {"S": "none"}},
                        "ConditionExpression": "attribute_exists(id)",
                    }
                },
            ]
        )
    arn = dynamodb.describe_table(TableName="things")["Table"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator)["Records"]
    streams.close()
    assert [record["dynamodb"]["Keys"]["id"]["S"] for record in records] == ["first"]
