"""Create a stack's tables, buckets and the rest, in the embedded AWS or at another endpoint."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.credentials import EMBEDDED, Credentials
from local.errors import LocalError
from local.storage.clients import clients
from local.storage.coercion import coerced
from local.storage.dynamic_references import DynamicReferences, has_references
from local.storage.messaging import create_messaging, refers
from local.storage.one_call import KINDS, WITH_IDS, create_by_one_call
from local.template.model import Storage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

# The properties of a table that have the same name in CloudFormation and in CreateTable.
_TABLE_PROPERTIES = (
    "TableName", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes", "BillingMode", "ProvisionedThroughput",
)  # fmt: skip
_ALREADY_EXISTS = {
    "ResourceInUseException", "BucketAlreadyOwnedByYou", "BucketAlreadyExists",
}  # fmt: skip


def create(
    storage: Iterable[Storage], endpoint: str, region: str, credentials: Credentials = EMBEDDED
) -> list[str]:
    """Create the tables, the buckets and the other resources that do not exist yet.

    Return a line for each of the others that the endpoint does not take: another endpoint than the
    embedded one may have DynamoDB and S3 alone. Return a line too for each dynamic reference that
    has no value: its property is left out.

    Raises:
        LocalError: If the endpoint does not answer, or refuses a table or a bucket.

    """
    client_of = clients(endpoint, region, credentials)
    references = DynamicReferences(client_of)
    # What refers to others comes last.
    refused = []
    for written in sorted(storage, key=lambda each: (has_references(each), refers(each))):
        item = references.in_storage(written)
        if item.kind in WITH_IDS and credentials.access_key != EMBEDDED.access_key:
            refused.append(f"{item.name}: {item.kind} exists in the embedded AWS alone")
            continue
        is_needed = item.kind in {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}
        try:
            if is_needed:
                create_item(item, client_of("dynamodb"), client_of("s3"))
            elif item.kind in KINDS:
                create_by_one_call(item, client_of)
            else:
                create_messaging(item, client_of)
        except (BotoCoreError, ClientError) as error:
            line = f"{endpoint}: cannot create {item.name}: {error}"
            if is_needed:
                raise LocalError(line) from error
            refused.append(line)
    return [*refused, *references.unresolved]


def create_item(item: Storage, dynamodb: "DynamoDBClient", s3: "S3Client") -> None:
    """Create a table or a bucket, if it does not exist yet."""
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
    with _unless_it_exists():
        client.create_table(**_arguments(client, "CreateTable", wanted))
    ttl = table.properties.get("TimeToLiveSpecification")
    if ttl:
        settings = _arguments(
            client,
            "UpdateTimeToLive",
            {"TableName": table.name, "TimeToLiveSpecification": ttl},
        )
        with contextlib.suppress(ClientError):  # it is enabled already
            client.update_time_to_live(**settings)


def _create_bucket(client: "S3Client", bucket: Storage) -> None:
    where: Any = {}
    if client.meta.region_name != "us-east-1":  # the one region that may not be named
        where = {"CreateBucketConfiguration": {"LocationConstraint": client.meta.region_name}}
    with _unless_it_exists():
        client.create_bucket(Bucket=bucket.name, **where)
    rules = (bucket.properties.get("CorsConfiguration") or {}).get("CorsRules") or []
    if rules:
        cors = {"CORSRules": [_cors_rule(rule) for rule in rules]}
        arguments = {"Bucket": bucket.name, "CORSConfiguration": cors}
        client.put_bucket_cors(**_arguments(client, "PutBucketCors", arguments))


def _cors_rule(rule: dict[str, Any]) -> dict[str, Any]:
    # CloudFormation and S3 have different names for three properties.
    names = {"Id": "ID", "MaxAge": "MaxAgeSeconds", "ExposedHeaders": "ExposeHeaders"}
    return {names.get(name, name): value for name, value in rule.items()}


def _arguments(client: Any, operation: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call, in the types that it takes."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    arguments: dict[str, Any] = coerced(values, shape)
    return arguments


@contextlib.contextmanager
def _unless_it_exists() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ALREADY_EXISTS:
            raise
