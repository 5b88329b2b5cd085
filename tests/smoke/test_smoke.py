"""``make smoke`` against local runners that are deployed rightly and wrongly."""

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.smoke import smoke
from tests.smoke.smoke import main
from tests.support.backend import ROOT
from tests.support.issuer import AUDIENCE, Issuer, issuer
from tests.support.runner import LocalRunner, local_runner

AT_ONCE = ("--retry", "0")


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    with local_runner() as running:
        yield running


@pytest.fixture(scope="module")
def issued() -> Iterator[Issuer]:
    with issuer() as served:
        yield served


@pytest.fixture(scope="module")
def closed(issued: Issuer) -> Iterator[LocalRunner]:
    parameters = [f"JwtIssuer={issued.url}", f"JwtAudience={AUDIENCE}"]
    with local_runner("--parameter-overrides", *parameters) as running:
        yield running


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the template that may be changed."""
    path = tmp_path / "template.yaml"
    path.write_text((ROOT / "template-python.yaml").read_text())
    for folder in ("on_connect", "on_disconnect", "send_message", "send_file", "shared"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    return path


def without_route_responses(text: str) -> str:
    """Leave the route responses out of the template."""
    return re.sub(
        r"\n  \w+RouteResponse:\n    Type: AWS::ApiGatewayV2::RouteResponse\n.*?(?=\n  \S)",
        "", text, flags=re.DOTALL,
    )  # fmt: skip


def test_deployment_that_works_passes(run: LocalRunner, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([run.url, *AT_ONCE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" s  ")[2] for line in lines[:-1]] == [
        "two clients connected",
        "a text was acknowledged, and reached the second client",
        "a file went up, and down to the second client",
    ]
    assert lines[-1] == "OK"


def test_deployment_with_an_issuer_passes_with_two_tokens(
    closed: LocalRunner, issued: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = [issued.token("ann"), issued.token("bob")]
    assert main([closed.url, *AT_ONCE, "--tokens", *tokens]) == 0
    assert capsys.readouterr().out.endswith("OK\n")


def test_refusal_without_tokens_passes_and_says_that_nothing_else_was_checked(
    closed: LocalRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([closed.url, *AT_ONCE]) == 0
    printed = capsys.readouterr().out
    assert "needs tokens. Nothing else was checked" in printed
    assert "OK" not in printed.splitlines()


def test_wrong_token_fails(
    closed: LocalRunner, issued: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = [issued.token("ann", aud="other"), issued.token("bob")]
    assert main([closed.url, *AT_ONCE, "--tokens", *tokens]) == 1
    assert "refused with 401. Is the token valid" in capsys.readouterr().err


def test_missing_route_responses_fail_and_the_message_names_the_stage_status(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "TIMEOUT_S", 1)
    copied.write_text(without_route_responses(copied.read_text()))
    with local_runner(template=copied) as broken:
        assert main([broken.url, *AT_ONCE]) == 1
    error = capsys.readouterr().err
    assert "no ack came back" in error
    assert "LastDeploymentStatusMessage" in error
    assert "aws apigatewayv2 get-stage --api-id <api-id> --stage-name prod" in error


def test_deployment_that_completes_late_passes_after_a_retry(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "TIMEOUT_S", 1)
    complete = copied.read_text()
    copied.write_text(without_route_responses(complete))
    with local_runner(template=copied, reload=True) as late:
        deploying = threading.Timer(1, copied.write_text, [complete])
        deploying.start()
        assert main([late.url]) == 0
        deploying.join()
    printed = capsys.readouterr().out
    assert "Not yet: sendmessage: no ack came back." in printed
    assert printed.endswith("OK\n")


def of_send_file(text: str, variable: str, value: str) -> str:
    """Change a variable of the function 4-send-file."""
    before, marker, after = text.partition("POWERTOOLS_SERVICE_NAME: send_file")
    return before + marker + re.sub(rf"{variable}: .*", f"{variable}: {value}", after, count=1)


def test_function_that_fails_is_named(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied.write_text(of_send_file(copied.read_text(), "CONNECTIONS_TABLE", "missing"))
    with local_runner(template=copied, expects_refusals=True) as broken:
        assert main([broken.url, *AT_ONCE]) == 1
    assert "Look at the log of 4-send-file" in capsys.readouterr().err


def test_refused_upload_fails_without_printing_the_link(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = copied.read_text()
    without_upload = text.replace("s3:PutObject, ", "")
    assert without_upload != text
    copied.write_text(without_upload)
    with local_runner(template=copied, expects_refusals=True) as broken:
        assert main([broken.url, *AT_ONCE]) == 1
    error = capsys.readouterr().err
    assert "status 403. The link has the rights of the role of 4-send-file" in error
    assert "X-Amz-Signature" not in error


def test_content_type_that_is_not_allowed_is_named(
    run: LocalRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([run.url, *AT_ONCE, "--content-type", "image/tiff"]) == 1
    assert "pass one of AllowedContentTypes with --content-type" in capsys.readouterr().err


def test_route_that_is_missing_is_named(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = copied.read_text().replace("        sendmessage:\n", "        othermessage:\n")
    copied.write_text(text.replace("ChatApiSendmessageRoute", "ChatApiOthermessageRoute"))
    with local_runner(template=copied) as broken:
        assert main([broken.url, *AT_ONCE]) == 1
    assert "sendmessage: Forbidden. The route is not deployed." in capsys.readouterr().err


def test_wrong_stage_fails(run: LocalRunner, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([run.url.replace("/prod", "/test"), *AT_ONCE]) == 1
    assert "The URL must end in the stage, /prod" in capsys.readouterr().err


def test_address_where_nothing_listens_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert main([f"ws://127.0.0.1:{port}/prod", *AT_ONCE]) == 1
    assert "Is the URL the output WebSocketURI?" in capsys.readouterr().err


def test_id_of_the_api_is_taken_from_the_url() -> None:
    host = "abc123.execute-api.us-east-1.amazonaws.com"
    assert smoke._api_of(f"wss://{host}/prod") == "abc123"
    assert smoke._api_of("wss://chat.example.com") == "<api-id>"
