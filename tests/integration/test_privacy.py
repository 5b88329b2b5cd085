"""No log line and no metric contains a text, token, link or file name."""

import logging
import re
import traceback
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from local.template.model import Stack
from tests.support import events
from tests.support.backend import Backend, Container
from tests.support.flows import CHAT, FILE_NAME, TEXT, Flows
from tests.support.issuer import AUDIENCE, issuer
from tests.support.management_api import ManagementApi
from tests.support.network import Fault, Network, denied, lost_on_its_way, throttled
from tests.support.stack import container, loaded

# The fixture `logs` writes the log lines of the functions to standard output.
pytestmark = pytest.mark.usefixtures("logs")


@pytest.fixture
def functions(notifying_functions: dict[str, Container]) -> dict[str, Container]:
    return notifying_functions


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Any:
    """Read all output so far: standard output, standard error, and the records of all loggers."""
    caplog.set_level(logging.INFO)

    def read() -> str:
        captured = capsys.readouterr()
        records = [f"{record.getMessage()} {record.exc_text}" for record in caplog.records]
        return "\n".join([captured.out, captured.err, *records])

    return read


def run(backend: Backend) -> Flows:
    flows = Flows(backend)
    flows.run()
    return flows


def assert_not_written(secrets: set[str], written: str) -> None:
    assert written
    for secret in secrets:
        assert secret not in written
    assert "X-Amz-" not in written
    assert not re.search(r"eyJ[\w-]+\.", written), "a token"


def test_no_flow_logs_a_secret(backend: Backend, output: Any) -> None:
    flows = run(backend)
    written = output()
    assert len(flows.secrets) > 4
    for outcome in ("connected", "message sent", "caught up", "refused", "disconnected"):
        assert f'"message":"{outcome}"' in written
    assert_not_written(flows.secrets, written)


@pytest.mark.parametrize("fault", [denied, throttled, lost_on_its_way])
@pytest.mark.parametrize(
    "operation",
    [
        "dynamodb.PutItem",
        "dynamodb.Query",
        "dynamodb.TransactWriteItems",
        "apigatewaymanagementapi.PostToConnection",
    ],
)
def test_failed_call_to_aws_logs_no_text(
    backend: Backend, wire: Network, output: Any, operation: str, fault: Any
) -> None:
    sender, _ = backend.connect("user123"), backend.connect("user456")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": TEXT}
    with wire.broken(Fault(operation, fault)):
        backend.send(sender, frame)
        backend.send(sender, frame | {"clientMessageId": "c-1"})
    assert_not_written({TEXT}, output())


def test_validation_error_of_botocore_logs_no_text(
    backend: Backend, output: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ParamValidationError of botocore quotes the value that is not valid."""
    module = backend.send_message.modules["chat.messages"]
    monkeypatch.setattr(module, "_to_item", lambda message: {"text": {"S": [message.text]}})
    sender = backend.connect("user123")
    reply = backend.reply_to(sender, {"action": "sendmessage", "chatId": CHAT, "text": TEXT})
    assert reply["statusCode"] == 500
    assert TEXT not in reply["body"]
    written = output()
    assert "ParamValidationError" in written
    assert "in _put" in written
    assert_not_written({TEXT}, written)


def test_exception_that_leaves_the_handler_quotes_no_text(
    backend: Backend, output: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.say(backend.connect("user123"), CHAT, TEXT)
    module = backend.send_message.modules["chat.catch_up"]

    def fail(frame: object) -> str:
        raise ValueError(frame) from KeyError(TEXT)

    monkeypatch.setattr(module, "to_json", fail)
    backend.connect("user456", since="0")
    (event,) = backend.wire.queue
    with pytest.raises(Exception, match="log line") as raised:
        backend.send_message(event)
    written = output()
    assert "ValueError" in written
    assert "KeyError" in written
    assert_not_written({TEXT}, written + "".join(traceback.format_exception(raised.value)))


def test_valid_and_invalid_tokens_are_not_logged(
    stack: Stack, api: ManagementApi, tmp_path: Path, output: Any
) -> None:
    with issuer() as served:
        with_issuer = loaded(tmp_path, JwtIssuer=served.url, JwtAudience=AUDIENCE)
        (function,) = (
            each for each in with_issuer.functions.values() if each.code.name == "on_connect"
        )
        with mock_aws():
            warm = container(function, stack, api)
        valid = served.token("user123")
        tokens = {valid, valid[:-6], served.token("user123", aud="other"), served.token("a b")}
        for token in tokens:
            headers = {"Authorization": f"Bearer {token}"}
            warm(events.connect(events.new_id(), {"token": token, "userId": "user123"}))
            warm(events.connect(events.new_id(), {}, headers=headers))
        served.answers.clear()
        with mock_aws():
            cold = container(function, stack, api)
        cold(events.connect(events.new_id(), {"token": valid}))
    assert_not_written(
        tokens | {token.rpartition(".")[2] for token in tokens} | {FILE_NAME}, output()
    )
