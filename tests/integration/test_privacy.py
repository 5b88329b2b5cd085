"""No log line and no metric tells what users say to each other, or what would let others in."""

import logging
import re
import traceback
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from local.template.model import Stack
from tests.support import events
from tests.support.backend import Backend
from tests.support.flows import CHAT, FILE_NAME, TEXT, Flows
from tests.support.issuer import AUDIENCE, issuer
from tests.support.management_api import ManagementApi
from tests.support.network import Fault, Network, denied, lost_on_its_way, throttled
from tests.support.stack import container, loaded

# It has the functions write their log to where it can be read.
pytestmark = pytest.mark.usefixtures("logs")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Any:
    """Read all that was written: by us, by libraries, and by whatever prints."""
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


def assert_kept(secrets: set[str], written: str) -> None:
    assert written
    for secret in secrets:
        assert secret not in written
    assert "X-Amz-" not in written
    assert not re.search(r"eyJ[\w-]+\.", written), "a token"


def test_whatever_happens_no_secret_is_told(backend: Backend, said: Any) -> None:
    flows = run(backend)
    written = said()
    assert len(flows.secrets) > 4
    for outcome in ("connected", "message sent", "caught up", "refused", "disconnected"):
        assert f'"message":"{outcome}"' in written
    assert_kept(flows.secrets, written)


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
def test_nor_where_aws_fails(
    backend: Backend, wire: Network, said: Any, operation: str, fault: Any
) -> None:
    sender, _ = backend.connect("user123"), backend.connect("user456")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": TEXT}
    with wire.broken(Fault(operation, fault)):
        backend.send(sender, frame)
        backend.send(sender, frame | {"clientMessageId": "c-1"})
    assert_kept({TEXT}, said())


def test_nor_where_a_library_quotes_it(
    backend: Backend, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore tells which value it would not send."""
    module = backend.send_message.modules["chat.messages"]
    monkeypatch.setattr(module, "_to_item", lambda message: {"text": {"S": [message.text]}})
    sender = backend.connect("user123")
    reply = backend.reply_to(sender, {"action": "sendmessage", "chatId": CHAT, "text": TEXT})
    assert reply["statusCode"] == 500
    assert TEXT not in reply["body"]
    written = said()
    assert "ParamValidationError" in written
    assert "in _put" in written
    assert_kept({TEXT}, written)


def test_nor_by_lambda_which_logs_what_leaves_a_handler(
    backend: Backend, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.say(backend.connect("user123"), CHAT, TEXT)
    module = backend.send_message.modules["chat.catch_up"]

    def fail(frame: object) -> str:
        raise ValueError(frame) from KeyError(TEXT)

    monkeypatch.setattr(module, "to_json", fail)
    backend.connect("user456", since="0")
    (event,) = backend.wire.queue
    with pytest.raises(Exception, match="log line") as left:
        backend.send_message(event)
    written = said()
    assert "ValueError" in written
    assert "KeyError" in written
    assert_kept({TEXT}, written + "".join(traceback.format_exception(left.value)))


def test_a_token_is_not_told_good_or_bad(
    stack: Stack, api: ManagementApi, tmp_path: Path, said: Any
) -> None:
    with issuer() as served:
        closed = loaded(tmp_path, JwtIssuer=served.url, JwtAudience=AUDIENCE)
        (function,) = (each for each in closed.functions.values() if each.code.name == "on_connect")
        with mock_aws():
            door = container(function, stack, api)
        good = served.token("user123")
        tokens = {good, good[:-6], served.token("user123", aud="other"), served.token("a b")}
        for token in tokens:
            for how in (
                {"query": {"token": token, "userId": "user123"}},
                {"query": {}, "headers": {"Authorization": f"Bearer {token}"}},
            ):
                door(events.connect(events.new_id(), **how))  # type: ignore[arg-type]
        served.answers.clear()
        with mock_aws():
            cold = container(function, stack, api)
        cold(events.connect(events.new_id(), {"token": good}))
    assert_kept(tokens | {token.rpartition(".")[2] for token in tokens} | {FILE_NAME}, said())
