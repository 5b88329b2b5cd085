"""The tool finds a deployment by its stack, or by the names that it is given."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from personal_data.__main__ import main
from personal_data.deployment import Names, open_deployment
from tests.personal_data.tool import Tool
from tests.support.backend import ROOT, Backend
from tests.support.network import Fault, lost_on_its_way

GIVEN = dict.fromkeys(Names.__dataclass_fields__)
URL = "wss://abc.execute-api.us-east-1.amazonaws.com/prod"


def table(name: str, key: str) -> dict[str, Any]:
    return {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
        },
    }


RESOURCES = {
    "MessagesTable": table("beta-ChatMessages", "chatId"),
    "ConnectionsTable": table("beta-ChatConnections", "connectionId"),
    "FilesBucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "beta-files"}},
}


@pytest.fixture
def beta(backend: Backend) -> Iterator[str]:
    """A stack with the resources of a deployment."""
    client = boto3.client("cloudformation")
    template = {"Resources": RESOURCES, "Outputs": {"WebSocketURI": {"Value": URL}}}
    client.create_stack(StackName="beta", TemplateBody=json.dumps(template))
    backend.wire.calls.clear()
    yield "beta"
    client.delete_stack(StackName="beta")


def test_stack_names_the_resources(beta: str) -> None:
    deployment = open_deployment(beta, GIVEN, None)
    assert deployment.names == Names("beta-ChatMessages", "beta-ChatConnections", "beta-files", URL)
    url = deployment.management_api.meta.endpoint_url
    assert url == "https://abc.execute-api.us-east-1.amazonaws.com/prod"


def test_name_that_is_given_counts_before_the_stack(beta: str) -> None:
    given = GIVEN | {"websocket_url": "ws://127.0.0.1:3001/prod"}
    deployment = open_deployment(beta, given, None)
    assert deployment.names.bucket == "beta-files"
    assert deployment.management_api.meta.endpoint_url == "http://127.0.0.1:3001/prod"


def test_stack_is_not_asked_where_all_names_are_given(
    backend: Backend, tool: Tool, tmp_path: Path
) -> None:
    assert tool("export", "--user=bob", f"--out={tmp_path}/bob", "--no-scan") == 0
    assert not [call for call in backend.wire.calls if call.startswith("cloudformation")]


@pytest.mark.usefixtures("backend")
def test_other_stack_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    client = boto3.client("cloudformation")
    bucket = {"Resources": {"Files": RESOURCES["FilesBucket"]}}
    client.create_stack(StackName="other", TemplateBody=json.dumps(bucket))
    assert main(["retention", "--days=0", "--stack=other"]) == 1
    assert "The stack other has no 'MessagesTable'" in capsys.readouterr().err
    client.delete_stack(StackName="other")


@pytest.mark.usefixtures("backend")
def test_stack_that_does_not_exist_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retention", "--days=0", "--stack=nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_aws_out_of_reach_is_an_error(
    backend: Backend, tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    with backend.wire.broken(Fault("dynamodb.DescribeTable", lost_on_its_way)):
        assert tool("retention", "--days=0") == 1
    assert "Error: " in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--user=a#b", "--rate=0", "--rate=nan"])
def test_options_that_make_no_sense_are_refused(tool: Tool, option: str) -> None:
    with pytest.raises(SystemExit) as ended:
        tool("export", "--user=bob", "--out=bob", option)
    assert ended.value.code == 2


def test_tool_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "personal_data", "--help"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "export" in run.stdout
    assert "retention" in run.stdout
