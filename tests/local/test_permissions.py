"""Which permissions a call needs, for requests that botocore makes; and which a role allows."""

from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from local.iam.calls import permissions_for
from local.iam.policies import MalformedPolicyError, Permission, Role, statements_of
from local.iam.signers import signer_of
from tests.support.calls import call_of

REGION = "eu-west-1"
TABLE = f"arn:aws:dynamodb:{REGION}:123456789012:table"
QUEUE = f"https://sqs.{REGION}.amazonaws.com/123456789012/orders"
ORDERS = f"arn:aws:sqs:{REGION}:123456789012:orders"
NEWS = f"arn:aws:sns:{REGION}:123456789012:news"
INVOKE = "lambda:InvokeFunction"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function"
UPLOAD = {"UploadId": "1"}
PART = {"PartNumber": 1, **UPLOAD}
KEY = {"id": {"S": "1"}}
OBJECT = "arn:aws:s3:::a/b/c d"
A_B: Any = {"Bucket": "a", "Key": "b/c d"}
CHECK = {"Key": KEY, "ConditionExpression": "a = b"}
BATCH = {"QueueUrl": QUEUE, "Entries": [{"Id": "1", "MessageBody": "text"}]}


def requested(
    service: str, operation: str, arguments: dict[str, Any], style: Any = "auto"
) -> AWSPreparedRequest:
    """Return the request that botocore makes."""
    client: Any = boto3.client(
        service,
        REGION,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": style}),
    )  # type: ignore[call-overload]  # any service
    requests: list[AWSPreparedRequest] = []

    def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        requests.append(request)
        raise ConnectionRefusedError

    client.meta.events.register("before-send", send)
    with pytest.raises(ConnectionRefusedError):
        getattr(client, operation)(**arguments)
    client.close()
    return requests[0]


def needed(service: str, operation: str, arguments: dict[str, Any], style: Any = "auto") -> Any:
    request = requested(service, operation, arguments, style)
    call = call_of(service, REGION, request)
    assert signer_of(call.headers, call.query) == ("key", REGION, service)
    found = permissions_for(call)
    return [" ".join(permission) for permission in found]


@pytest.mark.parametrize(
    ("operation", "arguments", "expected"),
    [
        ("scan", {"TableName": "t"}, [f"Scan {TABLE}/t"]),
        ("scan", {"TableName": "t", "IndexName": "index"}, [f"Scan {TABLE}/t/index/index"]),
        ("describe_table", {"TableName": f"{TABLE}/t"}, [f"DescribeTable {TABLE}/t"]),
        ("list_tables", {}, ["ListTables *"]),
        ("list_tags_of_resource", {"ResourceArn": f"{TABLE}/t"}, [f"ListTagsOfResource {TABLE}/t"]),
        (
            "batch_get_item",
            {"RequestItems": {"t": {"Keys": [KEY]}, "u": {"Keys": [KEY]}}},
            [f"BatchGetItem {TABLE}/t", f"BatchGetItem {TABLE}/u"],
        ),
        (
            "transact_write_items",
            {
                "TransactItems": [
                    {"Put": {"TableName": "t", "Item": KEY}},
                    {"Update": {"TableName": "t", "Key": KEY, "UpdateExpression": "SET a = b"}},
                    {"Delete": {"TableName": "u", "Key": KEY}},
                    {"ConditionCheck": {"TableName": "v", **CHECK}},
                ]
            },
            [
                f"PutItem {TABLE}/t",
                f"UpdateItem {TABLE}/t",
                f"DeleteItem {TABLE}/u",
                f"ConditionCheckItem {TABLE}/v",
            ],
        ),
        ("execute_statement", {"Statement": "SELECT * FROM t"}, []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_permissions_for_dynamodb(
    operation: str, arguments: dict[str, Any], expected: list[str]
) -> None:
    assert needed("dynamodb", operation, arguments) == [f"dynamodb:{each}" for each in expected]


@pytest.mark.parametrize("style", ["virtual", "path"])
@pytest.mark.parametrize(
    ("operation", "arguments", "expected"),
    [
        ("get_object", A_B, [f"GetObject {OBJECT}"]),
        ("head_object", A_B, [f"GetObject {OBJECT}"]),
        ("get_object", {**A_B, "VersionId": "1"}, [f"GetObjectVersion {OBJECT}"]),
        ("get_object_tagging", A_B, [f"GetObjectTagging {OBJECT}"]),
        ("delete_object", A_B, [f"DeleteObject {OBJECT}"]),
        ("create_multipart_upload", A_B, [f"PutObject {OBJECT}"]),
        ("upload_part", {**A_B, **PART}, [f"PutObject {OBJECT}"]),
        ("abort_multipart_upload", {**A_B, **UPLOAD}, [f"AbortMultipartUpload {OBJECT}"]),
        (
            "put_object",
            {**A_B, "Tagging": "a=b", "ACL": "private"},
            [f"PutObject {OBJECT}", f"PutObjectAcl {OBJECT}", f"PutObjectTagging {OBJECT}"],
        ),
        (
            "copy_object",
            {**A_B, "CopySource": {"Bucket": "from", "Key": "ä"}},
            ["GetObject arn:aws:s3:::from/ä", f"PutObject {OBJECT}"],
        ),
        (
            "delete_objects",
            {"Bucket": "a", "Delete": {"Objects": [{"Key": "<1>"}, {"Key": "2"}]}},
            ["DeleteObject arn:aws:s3:::a/2", "DeleteObject arn:aws:s3:::a/<1>"],
        ),
        ("list_objects_v2", {"Bucket": "a", "Prefix": "b"}, ["ListBucket arn:aws:s3:::a"]),
        ("head_bucket", {"Bucket": "a"}, ["ListBucket arn:aws:s3:::a"]),
        ("get_bucket_location", {"Bucket": "a"}, ["GetBucketLocation arn:aws:s3:::a"]),
        ("delete_bucket", {"Bucket": "a"}, ["DeleteBucket arn:aws:s3:::a"]),
        ("get_bucket_policy", {"Bucket": "a"}, []),
        ("list_buckets", {}, ["ListAllMyBuckets *"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_permissions_for_s3(
    operation: str, arguments: dict[str, Any], expected: list[str], style: Any
) -> None:
    assert sorted(needed("s3", operation, arguments, style)) == [f"s3:{each}" for each in expected]


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "expected"),
    [
        ("sqs", "send_message_batch", BATCH, [f"sqs:SendMessage {ORDERS}"]),
        ("sqs", "get_queue_url", {"QueueName": "orders"}, [f"sqs:GetQueueUrl {ORDERS}"]),
        ("sqs", "list_queues", {}, ["sqs:ListQueues *"]),
        ("sns", "publish", {"TopicArn": NEWS, "Message": "a"}, [f"sns:Publish {NEWS}"]),
        ("sns", "publish", {"PhoneNumber": "+1", "Message": "a"}, ["sns:Publish *"]),
        ("sns", "create_topic", {"Name": "news"}, [f"sns:CreateTopic {NEWS}"]),
        ("sns", "unsubscribe", {"SubscriptionArn": f"{NEWS}:1"}, [f"sns:Unsubscribe {NEWS}"]),
        ("lambda", "invoke", {"FunctionName": "f"}, [f"{INVOKE} {FUNCTION}:f"]),
        ("lambda", "invoke", {"FunctionName": f"{FUNCTION}:f"}, [f"{INVOKE} {FUNCTION}:f"]),
        ("ssm", "describe_parameters", {}, []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_permissions_for_messages_and_invocations(
    service: str, operation: str, arguments: dict[str, Any], expected: list[str]
) -> None:
    assert needed(service, operation, arguments) == expected


def role(*statements: dict[str, Any]) -> Role:
    return Role("role", tuple(statements_of({"Statement": list(statements)})))


@pytest.mark.parametrize(
    ("statement", "is_allowed"),
    [
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}, True),
        ({"Action": "S3:getobject", "Resource": "*"}, True),
        ({"Action": ["s3:Put*", "s3:Get*"], "Resource": ["b", "arn:aws:s3:::?/b[1]"]}, True),
        ({"Action": "*", "Resource": "arn:aws:s3:::a/${aws:userid}/*"}, False),
        ({"Action": "*", "Resource": "arn:aws:s3:::${aws:userid}/b[1]"}, True),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::A/*"}, False),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::a"}, False),
        ({"Action": "s3:GetObjectVersion", "Resource": "*"}, False),
        ({"NotAction": "s3:Put*", "Resource": "*"}, True),
        ({"NotAction": "s3:*", "Resource": "*"}, False),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::a/*"}, False),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::b/*"}, True),
        ({"Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"a": "b"}}}, True),
    ],
)  # fmt: skip
def test_statement_allows_what_it_matches(statement: dict[str, Any], is_allowed: bool) -> None:
    permission = Permission("s3:GetObject", "arn:aws:s3:::a/b[1]")
    allowing = role({"Effect": "Allow", **statement})
    assert allowing.allows(permission) is is_allowed
    # A Deny wins over each Allow, unless it has a condition.
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    denying = role(everything, {"Effect": "Deny", **statement})
    counts = is_allowed and "Condition" not in statement
    assert denying.allows(permission) is not counts
    assert denying.denies(permission) is counts


@pytest.mark.parametrize(
    "policy",
    [
        "text",
        {},
        {"Statement": "text"},
        {"Statement": {"Action": "*", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Action": [1], "Resource": "*"}},
    ],
)
def test_malformed_policy_is_an_error(policy: Any) -> None:
    with pytest.raises(MalformedPolicyError):
        statements_of(policy)
