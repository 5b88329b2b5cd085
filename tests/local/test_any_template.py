"""Templates in the shapes that other projects have: each runs, or names what does not."""

import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from local.errors import LocalError
from local.gateway.mapping_templates import WrongTemplateError, render
from local.lambdas.event_filter import matches_any
from local.storage.create import create
from local.template.loader import load
from local.template.model import Api, Stack, Storage
from local.template.reading import read
from local.terminal import print_remarks
from tests.support.backend import ROOT
from tests.support.runner import LocalRunner, local_runner

pytestmark = pytest.mark.slow

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


def test_table_of_shapes_names_tests_that_exist_and_all_templates() -> None:
    text = (ROOT / "local" / "README.md").read_text()
    table = text.partition("\n## Shapes of templates\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    named = {name for row in rows for name in re.findall("`([^`]+)`", row.split(" | ")[-1])}
    assert len(rows) > 30
    assert all(re.search("`[^`]+` [|]$", row) for row in rows)
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    templates = {path.name.removesuffix(".yaml") for path in TEMPLATES.iterdir()}
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    for name in named - templates - files:
        assert f"def {name}(" in tests, name
    # Those of test_foreign.py show whole applications.
    assert templates - named == {"auction", "rooms"}


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
        assert sorted(tables(run)) == ["global", "unquoted"]
    assert not any(line.startswith(("Not imitated", "Warning")) for line in run.lines)


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
        run.wait_for("Warning: local-Broken: ")
    assert variables == {
        "IMPORTED": "Fn::ImportValue other-stack is known only to AWS",
        "ANSWER": "Fn::GetAtt Custom.Answer (Custom::Answer) is known only to AWS",
        "STORED": (
            "parameter Stored is read from Systems Manager:"
            " give it with --parameter-overrides Stored=VALUE"
        ),
        "GIVEN": "here",
        "CLIENT": (
            "Fn::GetAtt Client.ClientSecret (AWS::Cognito::UserPoolClient) is known only to AWS"
        ),
        "SECRET": "{{resolve:secretsmanager:password}}",
        "SECURE": "{{resolve:ssm-secure:/chat/key}}",
    }
    assert table == "local-Table"
    remarks = [line for line in run.lines if line.startswith(("Warning: ", "Not imitated: "))]
    assert (
        "Warning: local-Broken: the handler cannot be imported: ModuleNotFoundError: No module"
        " named 'not_installed_anywhere' (broken.py, line 3); see local/README.md about"
        " dependencies"
    ) in remarks
    for text in (
        "NotBuilt: there is no folder not-there-yet",
        (
            "{{resolve:secretsmanager:password}} has no value here: ResourceNotFoundException, in"
            " local-Report: variable SECRET"
        ),
        (
            "{{resolve:ssm-secure:/chat/key}} has no value here: few properties take ssm-secure,"
            " and none of them is imitated, in local-Report: variable SECURE"
        ),
        (
            "{{resolve:ssm:/chat/delay}} has no value here: ParameterNotFound, in local-Waiting:"
            " DelaySeconds"
        ),
        "{{resolve:ssm:note:2}} has no value here: ParameterNotFound, in note: Description",
    ):
        assert f"Warning: {text}" in remarks
    for text in (
        "Node: runtime nodejs22.x does not run",
        "Java: runtime java21 does not run",
        "Image: a function in an image does not run",
        "Report: Layers: Fn::ImportValue shared-layer is known only to AWS",
        "Elsewhere: ApiId: Fn::ImportValue other-api is known only to AWS",
        "Table: TableName: Fn::ImportValue table-name is known only to AWS",
        "Waiting: QueueName with a dynamic reference: it is local-Waiting here",
        "Triggered: its triggers do not run here",
        "Http (AWS::Serverless::HttpApi) does not exist here",
        "OtherHttp (AWS::Serverless::HttpApi) does not exist here",
        "Rest (AWS::Serverless::Api) does not exist here",
        "Steps (AWS::Serverless::StateMachine) does not exist here",
        "Broken: event Tick (Schedule) does not invoke it here",
        "Broken: event Rule (EventBridgeRule) does not invoke it here",
        "Broken: event SignUp (Cognito) does not invoke it here",
        "Broken: event Upload (S3) does not invoke it here",
        "Broken: HTTP requests do not reach it here",
        "Broken: its function URL does not exist here",
    ):
        assert f"Not imitated: {text}" in remarks
    # Resources that the transform made are not named, and neither are permissions.
    assert not any(
        name in line for line in remarks for name in ("Permission", "BrokenTick", "ServerlessRest")
    )


def test_function_that_no_route_needs_does_not_delay_ready(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with (
        local_runner(
            "--parameter-overrides",
            f"Gate={gate}",
            template=TEMPLATES / "others" / "template.yaml",
        ) as run,
        connect(run.url) as client,
    ):
        # One function waits when it is imported, and another one is invoked meanwhile.
        assert ask(client) == {"called": '"local-ZCalled"'}
        assert not any("local-ZBroken" in line for line in run.lines)
        gate.touch()
        line = run.wait_for("Warning: local-ZBroken: ")
        assert "the handler cannot be imported: KeyError: 'MISSING' (app.py, line " in line


def test_template_with_only_dead_routes_is_an_error_and_not_ready(tmp_path: Path) -> None:
    text = (TEMPLATES / "partial" / "template.yaml").read_text()
    (tmp_path / "template.yaml").write_text(text.replace("CodeUri: code", "CodeUri: gone"))
    command = [sys.executable, "-m", "local", "--template", str(tmp_path / "template.yaml")]
    ended = subprocess.run(
        [*command, "--port", "0"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "Warning: Report: there is no folder gone" in ended.stdout.splitlines()
    assert "Ready" not in ended.stdout
    assert ended.stderr == "Error: no route runs here: the lines above say why\n"


def test_connect_function_that_cannot_be_imported_is_named_at_the_start_and_at_each_handshake() -> (
    None
):
    with local_runner(template=TEMPLATES / "refusing.yaml") as run:
        started = [line for line in run.lines if line.startswith("Warning: ")]
        assert started == [
            (
                "Warning: local-Connect: the handler cannot be imported: KeyError: 'MISSING'"
                " (index.py, line 1)"
            )
        ]
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refused, connect(run.url):
                pass
            assert refused.value.response.status_code == 502
            assert run.wait_for("Warning: handshake refused") == (
                "Warning: handshake refused with 502: route $connect: local-Connect does not run:"
                " KeyError: 'MISSING'"
            )


def test_nothing_that_aws_drops_or_refuses_is_silent() -> None:
    with (
        local_runner(template=TEMPLATES / "silent.yaml") as run,
        connect(run.url) as client,
    ):

        def send(line: str, **body: Any) -> None:
            client.send(json.dumps(body))
            assert run.wait_for("Warning: route ") == f"Warning: route {line}"

        refused = 'the client gets "Internal server error"'
        one_way = "the route has no route response"
        returned = "$default: local-Return returned"
        send(f"{returned} null, not an object with statusCode: {refused}", result=None)
        send(
            f"{returned} a body that is not text: {{}}: {refused}",
            result={"statusCode": 200, "body": {}},
        )
        send(
            f"{returned} keys that API Gateway refuses: message: {refused}",
            result={"statusCode": 200, "message": "hello"},
        )
        send(f"{returned} no status, but the statusCode null: {refused}", result={"body": "hello"})
        send(
            f"{returned} status 500, and {one_way}: {refused}",
            result={"statusCode": 500},
        )
        send(
            f"$default: the body that local-Return returned is dropped: {one_way}",
            result={"statusCode": 200, "body": "hello"},
        )
        send(
            "node: its integration does not run: NotImitated: its function (local-Node) does not"
            " run here:"
            f" {refused}",
            action="node",
        )
        send(f"broken: local-Broken does not run: KeyError: 'MISSING': {refused}", action="broken")
        # An exception, and what it does not say: the host. Each host is named once.
        failed = f"$default: local-Return failed: ConnectionError: Connection error.: {refused}"
        for host in ("no-such-host.invalid", "transcribestreaming.us-east-1.amazonaws.com"):
            send(failed, host=host)
            send(failed, host=host)
        hosts = [line for line in run.lines if line.startswith("[local-Return] ") and "." in line]
        unreachable, aws = (line for line in hosts if ".invalid" in line or ".amazonaws" in line)
        assert unreachable.startswith("[local-Return] Warning: cannot reach no-such-host.invalid: ")
        assert aws == (
            "[local-Return] Not imitated: the code calls"
            " transcribestreaming.us-east-1.amazonaws.com, a host of AWS"
        )
        client.close()
        line = run.wait_for("Warning: route $disconnect")
        assert line.endswith("returned null, not an object with statusCode: API Gateway ignores it")


def test_calls_of_another_api_that_the_code_names_arrive_here() -> None:
    with (
        local_runner(template=TEMPLATES / "hardcoded.yaml") as run,
        connect(run.url) as client,
    ):
        assert [ask(client), ask(client)] == ["pushed", "pushed"]
    warnings = [line for line in run.lines if "Warning: " in line]
    assert warnings == [
        (
            "[local-Push] Warning: the code names abcdefghij.execute-api.eu-west-3.amazonaws.com,"
            " another API: this one gets the calls"
        )
    ]


def test_streams_queues_and_topics_invoke_their_functions(tmp_path: Path) -> None:
    folder = shutil.copytree(TEMPLATES / "events", tmp_path / "events")
    with (
        local_runner(template=folder / "template.yaml", reload=True) as run,
        connect(run.url) as client,
    ):

        def received() -> Any:
            return json.loads(client.recv(timeout=20))

        # Batches of two, in order; a filter leaves out what it does not match.
        client.send(json.dumps({"action": "write", "ids": ["a", "b", "hidden", "c"]}))
        assert received() == {"written": ["a", "b"], "source": "local-Table"}
        assert received() == {"written": ["c"], "source": "local-Table"}
        # A modified row is no INSERT.
        client.send(json.dumps({"action": "write", "ids": ["a", "d"]}))
        assert received()["written"] == ["d"]
        # A batch that fails is tried again, and given up after one retry.
        client.send(json.dumps({"action": "write", "ids": ["fail"]}))
        assert [received(), received()] == [{"failed": 1}, {"failed": 2}]
        run.wait_for("local-OnWrite: gave up 1 records of the stream of local-Table after 1 retr")
        client.send(json.dumps({"action": "write", "ids": ["e"]}))
        assert received()["written"] == ["e"]
        # After an edit, only the new event source begins.
        edited = (folder / "template.yaml").read_text().replace("OnQueue:", "OnOrder:")
        (folder / "template.yaml").write_text(edited)
        run.wait_for("Reloaded: template.yaml")
        client.send(json.dumps({"action": "write", "ids": ["f"]}))
        assert received()["written"] == ["f"]
        # A message that failed comes again.
        client.send(json.dumps({"action": "queue"}))
        assert received() == {"queued": 1, "source": "aws:sqs"}
        assert received() == {"queued": 2, "source": "aws:sqs"}
        client.send(json.dumps({"action": "publish"}))
        assert received() == {"source": "aws:sns"}
        # A service that moto lacks is an error of AWS, and one line. So is one without effect.
        for _ in range(2):
            client.send(json.dumps({"action": "translate"}))
            assert received()["Code"] == "NotImplemented"
            client.send(json.dumps({"action": "recommend"}))
            assert received()["Code"] == "NotImplemented"
            client.send(json.dumps({"action": "emit"}))
            assert received() == {"FailedEntryCount": 0}
    notices = [line for line in run.lines if line.startswith("Not imitated: ")]
    assert not any(line.startswith(("Traceback", "Exception")) for line in run.lines)
    assert list(dict.fromkeys(notices)) == [  # an edit repeats them
        "Not imitated: OnKinesisData: its event source does not exist here",
        "Not imitated: Kinesis (AWS::Kinesis::Stream) does not exist here",
        (
            "Not imitated: local-Receive called translate TranslateText:"
            " moto cannot answer it (AttributeError)"
        ),
        ("Not imitated: local-Receive called personalize /recommendations: moto cannot answer it"),
        (
            "Not imitated: local-Receive called events PutEvents: moto answers (200), but events"
            " does nothing here"
        ),
    ]
    failed = "Warning: local-OnWrite failed with records of local-Table: RuntimeError: on purpose"
    assert run.lines.count(failed) == 2


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({"a": [1]}, True),
        ({"a": ["1"]}, False),
        ({"a": [2, {"numeric": [">", 0, "<=", 1]}]}, True),
        ({"a": [{"numeric": [">", 1]}]}, False),
        ({"t": [{"prefix": "te"}]}, True),
        ({"t": [{"suffix": "te"}]}, False),
        ({"t": [{"equals-ignore-case": "TEXT"}]}, True),
        ({"t": [{"anything-but": ["text"]}]}, False),
        ({"t": [{"anything-but": {"prefix": "no"}}]}, True),
        ({"n": {"deep": [None]}}, True),
        ({"n": {"deep": [{"exists": True}]}, "gone": [{"exists": False}]}, True),
        ({"gone": [{"anything-but": "x"}]}, False),
        ({"t": ["text"], "a": [7]}, False),
    ],
    ids=str,
)
def test_filter_pattern_matches_as_lambda_documents(pattern: Any, *, matches: bool) -> None:
    record = {"a": 1, "t": "text", "n": {"deep": None}}
    assert matches_any(record, [json.dumps(pattern)]) is matches


def test_loops_includes_and_mappings_by_pseudo_parameters_run() -> None:
    with (
        local_runner(
            "--parameter-overrides",
            "Rooms=red,blue",
            template=TEMPLATES / "several" / "loops.yaml",
        ) as run,
        connect(run.url) as client,
    ):
        assert ask(client) == {
            "REGION": "by-region",
            "ACCOUNT": "by-account",
            "STACK": "by-stack",
            "FALLBACK": "fallback",
            "COUNT": "3",
            "JSON": '{"a": "us-east-1"}',
        }
        assert tables(run) == ["red-room", "blue-room"]
    notices = [line for line in run.lines if line.startswith("Not imitated: ")]
    assert notices == ["Not imitated: macro CompanyMacro is not applied"]


def test_nested_stacks_run_as_one_application() -> None:
    path = TEMPLATES / "nested" / "template.yaml"
    with local_runner(template=path) as run, connect(run.url) as client:
        report = ask(client)
        created = tables(run)
    assert created == ["local-prod-messages"]
    greeting = report.pop("GREETING")
    assert greeting.startswith("table local-prod-messages, prod of ")
    assert report == {
        "TABLE": "local-prod-messages",
        "COLOR": "blue",
        "NAME": "local-ChatReport",
    }
    remarks = [line for line in run.lines if line.startswith(("Warning: ", "Not imitated: "))]
    assert remarks == [
        (
            "Not imitated: Remote: https://bucket.s3.amazonaws.com/other.yaml is not on this"
            " machine, so it is not followed; save it in a file and try"
            " python -m local --template FILE"
        ),
        (
            "Not imitated: Published: its template is not on this machine, so it is not followed;"
            " save it in a file and try python -m local --template FILE"
        ),
        (
            "Not imitated: Closed: it is not followed: parameter Missing has no default: give it"
            " with --parameter-overrides Missing=VALUE; try python -m local --template"
            f" {path.with_name('closed.yaml')}"
        ),
    ]


def test_nested_file_that_has_the_api_and_cannot_be_followed_is_named(tmp_path: Path) -> None:
    (tmp_path / "chat.yaml").write_text(
        "Parameters: {Name: {Type: String}}\n"
        "Resources:\n"
        "  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: WEBSOCKET}}\n"
    )
    path = tmp_path / "template.yaml"
    path.write_text(
        "Resources:\n"
        "  Chat:\n"
        "    Type: AWS::CloudFormation::Stack\n"
        "    Properties: {TemplateURL: chat.yaml}\n"
    )
    with pytest.raises(LocalError) as error:
        load(path, overrides={}, region="us-east-1", api=None, scratch=tmp_path)
    assert str(error.value).splitlines() == [
        f"{path} has no WebSocket API",
        (
            "Chat: it is not followed: parameter Name has no default: give it with"
            " --parameter-overrides Name=VALUE; try python -m local --template"
            f" {path.with_name('chat.yaml')}"
        ),
    ]


def test_json_with_tabs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "template.json"
    path.write_text('{\n\t"Resources": {}\n}')
    assert read(path) == {"Resources": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Resources: {'Fn::ForEach::A': [Name, {'Ref': Nothing}, {}]}",
            "Fn::ForEach::A: its list must be written out, or a parameter with a value",
        ),
        ("Resources: {'Fn::ForEach::A': [Name]}", "Fn::ForEach::A takes an identifier, a list"),
        (
            (
                "Resources: {'Fn::Transform':"
                " {Name: 'AWS::Include', Parameters: {Location: gone.yaml}}}"
            ),
            "gone.yaml: No such file",
        ),
    ],
)
def test_loop_or_include_that_is_broken_is_a_one_line_error(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    with pytest.raises(LocalError, match=re.escape(message)):
        load(path, overrides={}, region="us-east-1", api=None, scratch=tmp_path)


def test_mock_and_aws_integrations_answer_by_their_mapping_templates() -> None:
    with (
        local_runner(template=TEMPLATES / "mapped.yaml") as run,
        connect(run.url) as client,
    ):
        mocked = ask(client, action="mock")
        assert mocked["unknown"] == "$nothing"
        assert len(mocked["you"]) == 16
        digest = hashlib.md5(b'{"action": "queue", "n": 1}', usedforsecurity=False).hexdigest()
        assert ask(client, action="queue", n=1) == {"queued": digest}
        echoed = ask(client, action="echo", text={"deep": "a 'b'&\"c\""})
        assert json.loads(echoed["event"].pop("body"))["text"] == {"deep": "a 'b'&\"c\""}
        assert echoed == {
            "event": {
                "text": "a 'b'&\"c\"",
                "encoded": "a+%27b%27%26%22c%22",
                "route": "echo",
            },
            "rooms": ["room lobby"],
            "messages": ['{"action": "queue", "n": 1}'],
        }
        assert ask(client, action="loop")["message"] == "Internal server error"
        assert (
            ask(client, action="echo", text={"deep": "fail"})["message"] == "Internal server error"
        )
        failed = "Warning: route echo: local-Echo failed: ValueError: on purpose: the client gets"
        assert any(line.startswith(failed) for line in run.lines)
    assert [line for line in run.lines if line.startswith("Not imitated: ")] == [
        "Not imitated: route loop: #foreach in a mapping template is not imitated",
        (
            "Not imitated: route steps: integration AWS (states:action/StartExecution) does not"
            " run here"
        ),
    ]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("$context.identity.sourceIp ${context.stage}!", "192.0.2.1 prod!"),
        ("$input.path('$.list[1]')$input.json('$.gone')", "2null"),
        ("#set($a = 'x')$a ${a}y $a.replaceAll('x', 'z')", "x xy z"),
        ("$input.params().get('header') $input.params('A')$input.params('b')", "{A=b} b"),
        ("#set($n = $input.path('$.list[1]') + 3 * 2)$n", "10"),
        ("cost: $5, $context.none, $", "cost: $5, $context.none, $"),
        ('#set($n = 5)$util.base64Encode("n is $n")', "biBpcyA1"),
    ],
)
def test_mapping_template_is_evaluated(template: str, expected: str) -> None:
    context = {"stage": "prod", "identity": {"sourceIp": "192.0.2.1"}}
    event = {"requestContext": context, "headers": {"A": "b"}}
    assert render(template, '{"list": [1, 2]}', event) == expected


@pytest.mark.parametrize(
    "template",
    ["#if($x)a#end", "$input.gone('a')", "$util.escapeJavaScript('a", "#set($a = [1])"],
)
def test_mapping_template_that_cannot_be_evaluated_is_an_error(template: str) -> None:
    with pytest.raises(WrongTemplateError):
        render(template, "", {})


def test_endpoint_without_queues_stops_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    (line,) = create([Storage("AWS::SQS::Queue", "orders", {})], url, "us-east-1")
    assert line.startswith(f"{url}: cannot create orders: Could not connect")


def test_identical_remarks_are_printed_once_with_a_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = Api("a", "prod", "us-east-1", {})
    print_remarks(Stack("us-east-1", api, {}, (), notices=("one", "same", "same")))
    assert capsys.readouterr().out == "Not imitated: one\nNot imitated: same (2 times)\n"


def test_remarks_that_say_the_same_of_several_resources_are_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = Api("a", "prod", "us-east-1", {})
    notices = ("A: gone", "B: other", "C: gone", "D: gone", "E: gone", "F: twice", "F: twice")
    print_remarks(Stack("us-east-1", api, {}, (), notices=notices))
    assert capsys.readouterr().out.splitlines() == [
        "Not imitated: A, C, D and 1 more: gone",
        "Not imitated: B: other",
        "Not imitated: F: twice (2 times)",
    ]
