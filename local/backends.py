"""DynamoDB and S3: the embedded ones, and a stack's tables and buckets in whichever is used."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.errors import LocalError
from local.stack import Storage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

_ROOT = Path(__file__).parents[1]

# Of a table in CloudFormation, what DynamoDB's CreateTable takes under the same name.
_TABLE_PROPERTIES = (
    "TableName", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes", "BillingMode", "ProvisionedThroughput",
)  # fmt: skip
_ALREADY_THERE = {
    "ResourceInUseException", "BucketAlreadyOwnedByYou", "BucketAlreadyExists",
}  # fmt: skip


@contextlib.asynccontextmanager
async def embedded(
    index_lag: tuple[float, float] = (0, 0), write_delay: tuple[float, float] = (0, 0)
) -> AsyncIterator[str]:
    """Run moto; yield the URL of its endpoint, which takes connections at once.

    Args:
        index_lag: The shortest and the longest lag of global secondary indexes, in seconds.
        write_delay: The shortest and the longest time that a write to DynamoDB takes, in seconds.

    """
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        # A process of its own, not a thread: moto would take the gateway's turns otherwise.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-s", "-m", "local.moto_server",
            str(listener.fileno()), *map(str, index_lag + write_delay),
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "MOTO_PORT": str(port)},
            pass_fds=[listener.fileno()],
            process_group=0,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def create(storage: Iterable[Storage], endpoint: str, region: str) -> None:
    """Make what is not there yet.

    Raises:
        LocalError: If the endpoint does not answer, or refuses.

    """
    import boto3  # noqa: PLC0415 - in this thread, while others start

    session = boto3.Session("local", "local", region_name=region)
    config = Config(retries={"total_max_attempts": 3}, connect_timeout=5, read_timeout=20)
    dynamodb = session.client("dynamodb", endpoint_url=endpoint, config=config)
    s3 = session.client("s3", endpoint_url=endpoint, config=config)
    for item in storage:
        try:
            create_item(item, dynamodb, s3)
        except (BotoCoreError, ClientError) as error:
            raise LocalError(f"{endpoint}: cannot create {item.name}: {error}") from error


def create_item(item: Storage, dynamodb: "DynamoDBClient", s3: "S3Client") -> None:
    """Make a table or a bucket, if it is not there yet."""
    if item.kind == "AWS::DynamoDB::Table":
        _create_table(dynamodb, item)
    else:
        _create_bucket(s3, item)


def _create_table(client: "DynamoDBClient", table: Storage) -> None:
    wanted: dict[str, Any] = {
        name: table.properties[name] for name in _TABLE_PROPERTIES if name in table.properties
    }
    stream = table.properties.get("StreamSpecification")
    if stream:
        wanted["StreamSpecification"] = {"StreamEnabled": True, **stream}
    with _unless_already_there():
        client.create_table(**wanted)
    ttl = table.properties.get("TimeToLiveSpecification")
    if ttl:
        with contextlib.suppress(ClientError):  # it was on already
            client.update_time_to_live(TableName=table.name, TimeToLiveSpecification=ttl)


def _create_bucket(client: "S3Client", bucket: Storage) -> None:
    where: Any = {}
    if client.meta.region_name != "us-east-1":  # the one region that may not be named
        where = {"CreateBucketConfiguration": {"LocationConstraint": client.meta.region_name}}
    with _unless_already_there():
        client.create_bucket(Bucket=bucket.name, **where)
    rules = (bucket.properties.get("CorsConfiguration") or {}).get("CorsRules") or []
    if rules:
        cors: Any = {"CORSRules": [_cors_rule(rule) for rule in rules]}
        client.put_bucket_cors(Bucket=bucket.name, CORSConfiguration=cors)


def _cors_rule(rule: dict[str, Any]) -> dict[str, Any]:
    # CloudFormation and S3 name three of these apart.
    names = {"Id": "ID", "MaxAge": "MaxAgeSeconds", "ExposedHeaders": "ExposeHeaders"}
    return {names.get(name, name): value for name, value in rule.items()}


@contextlib.contextmanager
def _unless_already_there() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ALREADY_THERE:
            raise
