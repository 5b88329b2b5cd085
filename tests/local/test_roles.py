"""Roles limit the calls of functions, as on AWS: a runner, and functions that make calls."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError
from websockets.sync.client import ClientConnection, connect

from tests.support.runner import LocalRunner, local_runner

pytestmark = pytest.mark.slow

TEMPLATE = Path(__file__).with_name("templates") / "roles" / "template.yaml"
THINGS = "arn:aws:dynamodb:us-east-1:123456789012:table/things"
KEY = {"id": {"S": "1"}}
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
TOPIC = "arn:aws:sns:us-east-1:123456789012:news"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function"
NOT_ALLOWED = "its role does not allow it"


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    with local_runner(template=TEMPLATE, expects_refusals=True) as run:
        yield run


@pytest.fixture
def client(run: LocalRunner) -> Iterator[ClientConnection]:
    with connect(run.url) as client:
        yield client


def ask(client: ClientConnection, action: str, service: str, call: str, **arguments: Any) -> Any:
    """Let a function call AWS; return the error, or an empty object."""
    body = {"action": action, "service": service, "call": call, "arguments": arguments}
    client.send(json.dumps(body))
    return json.loads(client.recv(timeout=30))


def link(client: ClientConnection, sign: str, key: str) -> str:
    body = {"action": "limited", "service": "s3", "sign": sign}
    client.send(json.dumps({**body, "arguments": {"Bucket": "files", "Key": key}}))
    return str(client.recv(timeout=30))


def s3_of(run: LocalRunner) -> Any:
    return boto3.client(
        "s3", "us-east-1", endpoint_url=run.aws_endpoint,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("dynamodb", "put_item", {"TableName": "things", "Item": KEY}),
        ("dynamodb", "get_item", {"TableName": THINGS, "Key": KEY}),
        (
            "dynamodb",
            "query",
            {
                "TableName": "things",
                "IndexName": "kind-index",
                "KeyConditionExpression": "kind = :kind",
                "ExpressionAttributeValues": {":kind": {"S": "a"}},
            },
        ),
        (
            "dynamodb",
            "transact_get_items",
            {"TransactItems": [{"Get": {"TableName": "things", "Key": KEY}}]},
        ),
        ("s3", "put_object", {"Bucket": "files", "Key": "in/a b+é/ü", "Body": "text"}),
        ("s3", "get_object", {"Bucket": "files", "Key": "in/a b+é/ü"}),
        ("s3", "delete_object", {"Bucket": "files", "Key": "out/1"}),
        ("sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "text"}),
        ("sns", "publish", {"TopicArn": TOPIC, "Message": "text"}),
        ("lambda", "invoke", {"FunctionName": "local-Given"}),
        ("apigatewaymanagementapi", "get_connection", {}),
        ("sts", "get_caller_identity", {}),  # not checked
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_allowed_call_succeeds(
    client: ClientConnection, service: str, call: str, arguments: dict[str, Any]
) -> None:
    assert ask(client, "limited", service, call, **arguments) == {}


@pytest.mark.parametrize(
    ("service", "call", "arguments", "error", "refused", "reason"),
    [
        (
            "dynamodb", "scan", {"TableName": "things"}, (400, "AccessDeniedException"),
            f"dynamodb:Scan {THINGS}", "its role denies it",
        ),
        (
            "dynamodb", "delete_item", {"TableName": "things", "Key": KEY},
            (400, "AccessDeniedException"), f"dynamodb:DeleteItem {THINGS}", "its role denies it",
        ),
        (
            "dynamodb", "get_item", {"TableName": "other", "Key": KEY},
            (400, "AccessDeniedException"), f"dynamodb:GetItem {THINGS[:-6]}other", NOT_ALLOWED,
        ),
        (
            "dynamodb", "transact_write_items",
            {"TransactItems": [
                {"Put": {"TableName": "things", "Item": KEY}},
                {"Put": {"TableName": "other", "Item": KEY}},
            ]},
            (400, "AccessDeniedException"), f"dynamodb:PutItem {THINGS[:-6]}other", NOT_ALLOWED,
        ),
        (
            "s3", "put_object", {"Bucket": "files", "Key": "out/1"}, (403, "AccessDenied"),
            "s3:PutObject arn:aws:s3:::files/out/1", NOT_ALLOWED,
        ),
        (
            "s3", "put_object", {"Bucket": "files", "Key": "in/1", "Tagging": "a=b"},
            (403, "AccessDenied"), "s3:PutObjectTagging arn:aws:s3:::files/in/1", NOT_ALLOWED,
        ),
        (
            "s3", "head_object", {"Bucket": "files", "Key": "out/1"}, (403, "403"),
            "s3:GetObject arn:aws:s3:::files/out/1", NOT_ALLOWED,
        ),
        (
            "s3", "delete_object", {"Bucket": "files", "Key": "in/1"}, (403, "AccessDenied"),
            "s3:DeleteObject arn:aws:s3:::files/in/1", NOT_ALLOWED,
        ),
        (
            "s3", "list_objects_v2", {"Bucket": "files"}, (403, "AccessDenied"),
            "s3:ListBucket arn:aws:s3:::files", NOT_ALLOWED,
        ),
        (
            "sqs", "receive_message", {"QueueUrl": QUEUE}, (403, "AccessDenied"),
            "sqs:ReceiveMessage arn:aws:sqs:us-east-1:123456789012:orders", NOT_ALLOWED,
        ),
        (
            "sns", "publish", {"TopicArn": f"{TOPIC}-2", "Message": "text"},
            (403, "AuthorizationError"), f"sns:Publish {TOPIC}-2", NOT_ALLOWED,
        ),
        (
            "lambda", "invoke", {"FunctionName": "local-Limited"}, (403, "AccessDeniedException"),
            f"lambda:InvokeFunction {FUNCTION}:local-Limited", NOT_ALLOWED,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)  # fmt: skip
def test_other_call_is_refused_in_the_form_of_its_service(
    run: LocalRunner,
    client: ClientConnection,
    service: str,
    call: str,
    arguments: dict[str, Any],
    error: tuple[int, str],
    refused: str,
    reason: str,
) -> None:
    found = ask(client, "limited", service, call, **arguments)
    assert (found["Status"], found["Code"]) == error
    action, _, resource = refused.partition(" ")
    if call != "head_object":  # its response has no body
        user = "arn:aws:sts::123456789012:assumed-role/limited/local-Limited"
        assert f"User: {user} is not authorized to perform: " in found["Message"]
        assert action.lower() in found["Message"].lower()
        assert resource in found["Message"]
    line = run.wait_for(f"local-Limited may not {refused}")
    assert line == f"Warning: local-Limited may not {refused}: {reason}"


def test_function_may_not_push_without_manage_connections(
    run: LocalRunner, client: ClientConnection
) -> None:
    service = "apigatewaymanagementapi"
    found = ask(client, "limited", service, "post_to_connection", Data="text")
    assert (found["Status"], found["Code"]) == (403, "AccessDeniedException")
    assert "/prod/POST/@connections/{connectionId}" in found["Message"]
    run.wait_for("local-Limited may not execute-api:ManageConnections arn:aws:execute-api:")


def test_error_that_the_function_does_not_catch_is_an_internal_server_error(
    client: ClientConnection,
) -> None:
    body = {"action": "limited", "service": "dynamodb", "call": "scan", "raise": True}
    client.send(json.dumps({**body, "arguments": {"TableName": "things"}}))
    assert json.loads(client.recv(timeout=30))["message"] == "Internal server error"


def test_link_has_the_permissions_of_its_signer_when_it_is_used(
    run: LocalRunner, client: ClientConnection
) -> None:
    allowed = link(client, "put_object", "in/a")
    refused = link(client, "put_object", "out/a")
    assert httpx.put(allowed, content=b"text").status_code == 200
    response = httpx.put(refused, content=b"text")
    assert response.status_code == 403
    assert "<Code>AccessDenied</Code>" in response.text
    run.wait_for("local-Limited may not s3:PutObject arn:aws:s3:::files/out/a")
    download = link(client, "get_object", "in/a")
    assert httpx.get(download).text == "text"


def test_missing_object_is_403_without_list_bucket_and_404_with_it(
    run: LocalRunner, client: ClientConnection
) -> None:
    missing = {"Bucket": "files", "Key": "in/none"}
    for call in ("head_object", "get_object", "get_object"):
        assert ask(client, "limited", "s3", call, **missing)["Status"] == 403
    assert ask(client, "listing", "s3", "head_object", **missing)["Status"] == 404
    (explained,) = [line for line in run.lines if "so S3 answers 403, not 404" in line]
    assert explained == (
        f"Warning: local-Limited may not s3:ListBucket arn:aws:s3:::files: {NOT_ALLOWED}:"
        " so S3 answers 403, not 404, about objects that do not exist"
    )


def test_calls_of_others_than_functions_are_not_checked(run: LocalRunner) -> None:
    s3 = s3_of(run)
    s3.put_object(Bucket="files", Key="out/mine", Body=b"text")
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket="files", Key="out/none")
    s3.close()


@pytest.mark.parametrize("action", ["given", "imported", "foreign"])
def test_role_that_cannot_be_read_limits_nothing(client: ClientConnection, action: str) -> None:
    assert ask(client, action, "dynamodb", "scan", TableName="things") == {}


def test_what_of_roles_is_not_checked_is_named_at_the_start(run: LocalRunner) -> None:
    unchecked = "its calls are not checked"
    policy = "the managed policy arn:aws:iam::123456789012:policy/made-by-hand"
    role = "the role arn:aws:iam::123456789012:role/made-by-hand"
    assert [line for line in run.lines if line.startswith("Not imitated: ")] == [
        f"Not imitated: {notice}"
        for notice in (
            "Key (AWS::KMS::Key) does not exist here",
            "LimitedRole: conditions of its policies have no effect",
            "LimitedRole: a policy names what only AWS knows: it counts as any resource",
            "LimitedRole: its permissions boundary has no effect",
            f"Given: {role} is not in this template: {unchecked}",
            f"Imported: the role is not in this template: {unchecked}",
            f"Foreign: {policy} is not known here: {unchecked}",
        )
    ]


def test_no_iam_lets_functions_call_everything() -> None:
    with local_runner("--no-iam", template=TEMPLATE) as run, connect(run.url) as client:
        assert ask(client, "limited", "dynamodb", "scan", TableName="things") == {}
        service = "apigatewaymanagementapi"
        pushed = ask(client, "limited", service, "post_to_connection", Data='"pushed"')
        assert pushed == "pushed"
    assert not [line for line in run.lines if "role" in line]


def test_edited_role_counts_for_the_next_call(tmp_path: Path) -> None:
    shutil.copytree(TEMPLATE.parent, tmp_path, dirs_exist_ok=True)
    template = tmp_path / "template.yaml"
    with (
        local_runner(template=template, reload=True, expects_refusals=True) as run,
        connect(run.url) as client,
    ):
        refused = ask(client, "listing", "dynamodb", "scan", TableName="things")
        assert refused["Code"] == "AccessDeniedException"
        text = template.read_text()
        template.write_text(
            text.replace("AmazonS3ReadOnlyAccess", "DynamoDBReadPolicy: { TableName: things }")
        )
        run.wait_for("Reloaded: template.yaml")
        assert ask(client, "listing", "dynamodb", "scan", TableName="things") == {}
