"""The command `python -m local`: options, errors, signals, reloading."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from local.__main__ import main
from tests.support.backend import ROOT
from tests.support.runner import local_runner

pytestmark = pytest.mark.slow

HANDLER = (
    "import os\ndef handler(event, context): return {'statusCode': 200, 'body': str(os.getpid())}\n"
)
TELLS_CREDENTIALS = """
import os
NAMES = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
def handler(event, context):
    return {"statusCode": 200, "body": " ".join(str(os.environ.get(name)) for name in NAMES)}
"""
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: prod}
Resources:
  Api:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      StageName: !Ref Stage
      RouteSelectionExpression: $request.body.action
      Routes: {$default: {FunctionArn: !GetAtt F.Arn, RouteResponseSelectionExpression: $default}}
  Response:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: {ApiId: !Ref Api, RouteId: !Ref ApiDefaultRoute, RouteResponseKey: $default}
  F:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: code}
  Table:
    Type: AWS::Serverless::SimpleTable
    Properties: {TableName: things}
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text(HANDLER)
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return path


def run_to_its_end(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def fails_with(text: str, *arguments: object) -> None:
    ended = run_to_its_end(*arguments)
    expect_one_line_error(text, ended.returncode, ended.stdout, ended.stderr)


def expect_one_line_error(text: str, status: int, printed: str, error: str) -> None:
    assert status == 1
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert text in error
    assert "Ready" not in printed


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def reply(url: str) -> str:
    with connect(url) as client:
        client.send("{}")
        return str(client.recv())


def worker_pid(url: str) -> int:
    return int(reply(url))


def test_port_in_use_is_a_one_line_error(template: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fails_with(f"port {port} is in use", "--template", template, "--port", port)


def test_invalid_yaml_is_a_one_line_error(template: Path) -> None:
    template.write_text("Resources: [")
    fails_with("not valid YAML", "--template", template, "--port", 0)


def test_missing_template_is_a_one_line_error(tmp_path: Path) -> None:
    fails_with("cannot read", "--template", tmp_path / "none.yaml", "--port", 0)


def test_import_error_of_a_handler_is_a_one_line_error(template: Path) -> None:
    (template.parent / "code" / "app.py").write_text("\nimport nothing_like_it\n")
    fails_with(
        "local-F: the handler cannot be imported: ModuleNotFoundError:"
        " No module named 'nothing_like_it' (app.py, line 2)",
        "--template",
        template,
        "--port",
        0,
    )


def test_unreachable_aws_endpoint_is_a_one_line_error(template: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    fails_with("cannot create things", "--template", template, "--port", 0, "--aws-endpoint", url)


@pytest.mark.parametrize("text", ["soon", "-1", "0.3,0.1", "0.1,0.2,0.3", "inf"])
@pytest.mark.parametrize("option", ["--index-lag", "--write-delay"])
def test_wrong_range_of_seconds_is_a_one_line_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, text: str
) -> None:
    """Runs in this process: ten more would take five seconds."""
    no_template = tmp_path / "none.yaml"  # so that it ends if it takes the range
    with patch.dict(os.environ):
        status = main(["--template", str(no_template), "--port", "0", f"{option}={text}"])
    printed = capsys.readouterr()
    expect_one_line_error(f"{option} takes", status, printed.out, printed.err)


@pytest.mark.parametrize(("lag", "visible"), [("30", 0), ("0", 1)])
def test_index_lag_option_sets_how_long_index_reads_lag(
    template: Path, lag: str, visible: int
) -> None:
    with local_runner("--index-lag", lag, template=template) as run:
        dynamodb = boto3.client(
            "dynamodb", "us-east-1", endpoint_url=run.aws_endpoint,
            aws_access_key_id="any", aws_secret_access_key="any",
        )  # fmt: skip
        dynamodb.create_table(
            TableName="indexed",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "index",
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        dynamodb.put_item(TableName="indexed", Item={"id": {"S": "a"}})
        assert dynamodb.scan(TableName="indexed", IndexName="index")["Count"] == visible
        assert dynamodb.scan(TableName="indexed")["Count"] == 1
        dynamodb.close()


def test_help_lists_every_option() -> None:
    text = run_to_its_end("--help").stdout
    for option in (
        "--template", "--port", "--parameter-overrides", "--region", "--api", "--aws-endpoint",
        "--index-lag", "--idle-timeout", "--max-duration", "--retry-delays", "--page",
        "--no-reload", "--lint",
    ):  # fmt: skip
        assert option in text


def test_lint_prints_a_mistake_and_exits_with_1(template: Path) -> None:
    assert run_to_its_end("--template", template, "--lint").returncode == 0
    template.write_text(TEMPLATE.replace("app.handler", "app.nobody"))
    ended = run_to_its_end("--template", template, "--lint")
    assert ended.returncode == 1
    assert "has no nobody" in ended.stdout


def test_aws_settings_of_the_environment_are_ignored(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with local_runner(template=template) as run:
        monkeypatch.undo()  # what follows is not the run's
        assert worker_pid(run.url)


def test_lint_finds_no_mistake_in_the_project_template() -> None:
    ended = run_to_its_end("--lint")
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_runner_with_status_0_and_no_process_is_left(
    template: Path, number: signal.Signals
) -> None:
    with local_runner(template=template) as run:
        pid = worker_pid(run.url)
        run.process.send_signal(number)
        assert run.process.wait(timeout=20) == 0
    assert is_gone(pid)
    assert not any("Traceback" in line for line in run.lines)


def test_killed_runner_leaves_no_process(template: Path) -> None:
    with local_runner(template=template) as run:
        pid = worker_pid(run.url)
        run.process.kill()
        run.process.wait(timeout=20)
    assert is_gone(pid)


# The new parent of what a killed run leaves, in the same session: as in a container whose process
# 1 is a shell.
PARENT = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
run = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
sys.stdin.read()
run.kill()
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of macOS does it alone")
def test_killed_runner_leaves_no_process_to_a_parent_in_its_session(template: Path) -> None:
    run = (sys.executable, "-m", "local", "--template", template, "--port", "0", "--no-reload")
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *run],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        url = next(line for line in parent.stdout if "Ready: " in line)
        pid = worker_pid(url.removeprefix("Ready: ").strip())
        try:
            parent.stdin.close()
            assert parent.wait(timeout=20) == 0
        finally:
            parent.kill()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_signal_during_the_start_ends_the_runner_with_status_0(template: Path) -> None:
    marker = template.parent / "loading"
    (template.parent / "code" / "app.py").write_text(
        f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "--template", str(template), "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        while not marker.exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"Traceback" not in errors


def test_parameter_override_changes_the_stage_and_aws_endpoint_gets_the_tables(
    template: Path,
) -> None:
    with (
        local_runner(template=template) as first,
        local_runner(
            "--aws-endpoint",
            first.aws_endpoint,
            "--parameter-overrides",
            "Stage=beta",
            template=template,
        ) as second,
    ):
        assert second.url.endswith("/beta")
        assert second.aws_endpoint == first.aws_endpoint
        assert worker_pid(second.url) != worker_pid(first.url)
        dynamodb = boto3.client(
            "dynamodb", "us-east-1", endpoint_url=first.aws_endpoint,
            aws_access_key_id="any", aws_secret_access_key="any",
        )  # fmt: skip
        assert dynamodb.list_tables()["TableNames"] == ["things"]
        dynamodb.close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "test test None"),
        ({"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}, "k s None"),
        (
            {
                "AWS_ACCESS_KEY_ID": "k",
                "AWS_SECRET_ACCESS_KEY": "s",
                "AWS_SESSION_TOKEN": "t",
            },
            "k s t",
        ),
    ],
    ids=["none", "of a user", "of a session"],
)
def test_functions_get_the_credentials_of_the_environment_for_an_aws_endpoint(
    template: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    expected: str,
) -> None:
    (template.parent / "code" / "app.py").write_text(TELLS_CREDENTIALS)
    with local_runner(template=template) as first:
        assert str(reply(first.url)).startswith("local-local-F local ")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        endpoint = ("--aws-endpoint", first.aws_endpoint)
        with local_runner(*endpoint, template=template) as second:
            assert reply(second.url) == expected


def test_edits_of_handler_and_template_take_effect_on_open_connections(template: Path) -> None:
    code = template.parent / "code" / "app.py"
    with local_runner(template=template, reload=True) as run, connect(run.url) as client:

        def answer() -> str | bytes:
            client.send("{}")
            return client.recv()

        assert str(answer()).isdecimal()
        code.write_text("def handler(event, context): return {'statusCode': 200, 'body': 'new'}")
        run.wait_for("Reloaded: local-F")
        assert answer() == "new"

        code.write_text("def handler(:")
        run.wait_for("Error: local-F: the handler cannot be imported: SyntaxError")
        assert "Internal server error" in str(answer())
        code.write_text("def handler(event, context): return {'statusCode': 200, 'body': 'good'}")
        run.wait_for("Reloaded: local-F")
        assert answer() == "good"

        template.write_text("Resources: [")
        run.wait_for("what ran before runs on")
        assert answer() == "good"
        other = TEMPLATE.replace("{$default: {", "{other: {").replace("DefaultRoute", "OtherRoute")
        template.write_text(other)
        run.wait_for("Reloaded: template.yaml")
        assert "Forbidden" in str(answer())


def test_idle_and_old_connections_are_closed_with_1001(template: Path) -> None:
    with (
        local_runner("--idle-timeout", "0.5", "--max-duration", "1.5", template=template) as run,
        connect(run.url) as idle,
        connect(run.url) as busy,
    ):
        with pytest.raises(ConnectionClosed):
            idle.recv(timeout=20)
        with suppress(ConnectionClosed):
            while True:
                busy.send("{}")
                busy.recv(timeout=20)
                time.sleep(0.1)
        for client in (idle, busy):
            assert client.protocol.close_code == 1001
            assert client.protocol.close_reason == "Going away"
