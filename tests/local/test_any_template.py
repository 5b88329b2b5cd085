"""Templates in the shapes that other projects have: each runs, or names what does not."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from websockets.sync.client import ClientConnection, connect

from local.errors import LocalError
from local.template.loader import load
from tests.support.runner import LocalRunner, local_runner

TEMPLATES = Path(__file__).with_name("templates")


def ask(client: ClientConnection, **body: Any) -> Any:
    client.send(json.dumps(body))
    return json.loads(client.recv(timeout=20))


def tables(run: LocalRunner) -> list[str]:
    client = boto3.client(
        "dynamodb", "us-east-1", endpoint_url=run.aws_endpoint,
        aws_access_key_id="any", aws_secret_access_key="any",
    )  # fmt: skip
    try:
        return list(client.list_tables()["TableNames"])
    finally:
        client.close()


def test_unquoted_dates_text_numbers_and_a_missing_code_uri_run() -> None:
    with (
        local_runner(template=TEMPLATES / "unquoted" / "template.yaml") as run,
        connect(run.url) as client,
    ):
        assert ask(client) == {
            "date": "2012-10-17",
            "memory": "256",
            "seconds": 7,
            "capacity": [5, 6],
            "ttl": "ENABLED",
        }
    assert not any("Not imitated" in line for line in run.lines)


def test_what_no_route_needs_and_what_only_aws_knows_stop_nothing() -> None:
    with (
        local_runner(
            "--parameter-overrides",
            "Given=here",
            template=TEMPLATES / "partial" / "template.yaml",
        ) as run,
        connect(run.url) as client,
    ):
        variables = ask(client, action="report")
        (table,) = tables(run)
    assert variables == {
        "IMPORTED": "Fn::ImportValue other-stack is known only to AWS",
        "ANSWER": "Fn::GetAtt Custom.Answer (Custom::Answer) is known only to AWS",
        "STORED": (
            "parameter Stored is read from Systems Manager:"
            " give it with --parameter-overrides Stored=VALUE"
        ),
        "GIVEN": "here",
        "SECRET": "{{resolve:secretsmanager:password}}",
    }
    assert table == "local-Table"
    remarks = [line for line in run.lines if line.startswith(("Warning: ", "Not imitated: "))]
    (warning,) = [line for line in remarks if line.startswith("Warning: ")]
    assert warning == (
        "Warning: local-Broken: the handler cannot be imported: ModuleNotFoundError: No module"
        " named 'not_installed_anywhere' (broken.py, line 3); see local/README.md about"
        " dependencies"
    )
    for text in (
        "Node: runtime nodejs22.x does not run",
        "Java: runtime java21 does not run",
        "Image: a function in an image does not run",
        "NotBuilt: there is no folder not-there-yet",
        "Report: Layers: Fn::ImportValue shared-layer is known only to AWS",
        "Elsewhere: ApiId: Fn::ImportValue other-api is known only to AWS",
        "Table: TableName: Fn::ImportValue table-name is known only to AWS",
        "Http (AWS::Serverless::HttpApi) does not exist here",
        "Broken: event Tick (Schedule) does not invoke it here",
        "Broken: event Rule (EventBridgeRule) does not invoke it here",
        "Broken: event SignUp (Cognito) does not invoke it here",
        "Broken: event Upload (S3) does not invoke it here",
        "Broken: event Get (HttpApi): HTTP requests do not reach it here",
        "Broken: its function URL does not exist here",
    ):
        assert f"Not imitated: {text}" in remarks
    # Resources that the transform made are not named, and neither are permissions.
    assert not any(
        name in line for line in remarks for name in ("Permission", "BrokenTick", "ServerlessRest")
    )


def test_route_whose_function_has_no_folder_is_a_one_line_error(tmp_path: Path) -> None:
    text = (TEMPLATES / "partial" / "template.yaml").read_text()
    path = tmp_path / "template.yaml"
    path.write_text(text.replace("CodeUri: code", "CodeUri: gone"))
    with pytest.raises(LocalError, match=r"^Report: there is no folder gone$"):
        load(path, overrides={}, region="us-east-1", api=None, scratch=tmp_path)
