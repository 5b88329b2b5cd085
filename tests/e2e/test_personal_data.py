"""The operator's tool, on what clients of a running backend wrote."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.credentials import EMBEDDED
from local.template.model import Stack
from personal_data.__main__ import main
from tests.e2e.storage import request
from tests.support.device import device
from tests.support.runner import NO_LAG, LocalRunner, local_runner
from tests.support.stack import bucket_of
from tests.support.users import Pair

_LATER_S = 120


@pytest.fixture
def runner() -> Iterator[LocalRunner]:
    """A local runner, also where the other tests use a deployment: its tables are read."""
    with local_runner(*NO_LAG) as runner:
        yield runner


@pytest.fixture
def _two_minutes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of the export be ahead, because it leaves out the last minute."""
    clock = SimpleNamespace(
        time=lambda: time.time() + _LATER_S, time_ns=lambda: time.time_ns() + _LATER_S * 10**9
    )
    monkeypatch.setattr("personal_data.export.time", clock)


@pytest.mark.usefixtures("_two_minutes_later")
def test_export_has_what_clients_sent(
    runner: LocalRunner, pair: Pair, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in EMBEDDED.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", stack.region)
    url = runner.url
    with device(url, userId=pair.first) as first, device(url, userId=pair.second) as second:
        chat = {"chatId": pair.chat_id}
        upload = first.ask(
            {"action": "sendfile", "fileName": "a.png", "contentType": "image/png", **chat}
        )
        put = request(
            runner, "PUT", upload["uploadUrl"], headers=upload["headers"], content=b"picture"
        )
        assert put.status_code == 200
        sent: dict[str, Any] = {"action": "sendmessage", "text": "look", **chat}
        first.ask({**sent, "fileKey": upload["fileKey"]})
        assert second.receive()["text"] == "look"
        assert second.say(pair.chat_id, "nice")["type"] == "ack"
        deployment = [
            f"--endpoint-url={runner.aws_endpoint}",
            f"--websocket-url={url}",
            f"--bucket={bucket_of(stack)}",
            "--messages-table=ChatMessages",
            "--connections-table=ChatConnections",
        ]
        options = [f"--user={pair.first}", f"--out={tmp_path}/out", "--no-scan"]
        assert main(["export", *deployment, *options]) == 0
    lines = (tmp_path / "out/messages.jsonl").read_text().splitlines()
    received, sent = map(json.loads, lines)
    assert (received["text"], sent["text"]) == ("nice", "look")
    assert (tmp_path / "out/files" / sent["savedAs"]).read_bytes() == b"picture"
    assert len((tmp_path / "out/connections.jsonl").read_text().splitlines()) == 2
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert (summary["received"], summary["sent"], summary["bytes"]) == (1, 1, 7)
