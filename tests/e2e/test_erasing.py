"""The operator's command to erase, against the local runner, as docs/operating.md shows it."""

import os
import subprocess
import sys
from collections.abc import Iterator

import boto3
import pytest
from websockets.exceptions import ConnectionClosed

from local.credentials import EMBEDDED
from tests.e2e.test_files import upload
from tests.support.backend import ROOT
from tests.support.device import device
from tests.support.runner import NO_LAG, LocalRunner, local_runner
from tests.support.users import Pair


@pytest.fixture
def runner() -> Iterator[LocalRunner]:
    with local_runner(*NO_LAG) as runner:
        yield runner


def erase(runner: LocalRunner, user_id: str, *options: str) -> str:
    """Run the command; return what it says."""
    s3 = boto3.client(
        "s3", "us-east-1", endpoint_url=runner.aws_endpoint,
        aws_access_key_id=EMBEDDED.access_key, aws_secret_access_key=EMBEDDED.secret_key,
    )  # fmt: skip
    (bucket,) = [each["Name"] for each in s3.list_buckets()["Buckets"]]
    command = [
        *(sys.executable, "-m", "personal_data", "erase", "--user", user_id, "--no-scan"),
        *("--endpoint-url", runner.aws_endpoint, "--websocket-url", runner.url),
        *("--messages-table", "ChatMessages", "--connections-table", "ChatConnections"),
        *("--bucket", bucket, *options),
    ]
    environment = os.environ | EMBEDDED.variables() | {"AWS_DEFAULT_REGION": "us-east-1"}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert run.stdout == ""
    return run.stderr


def test_erased_user_is_disconnected_and_the_other_user_sees_tombstones(
    runner: LocalRunner, pair: Pair
) -> None:
    chat = {"chatId": pair.chat_id}
    with device(runner.url, userId=pair.second) as other:
        other.say(pair.chat_id, "an answer")
        with device(runner.url, userId=pair.first) as erased:
            erased.say(pair.chat_id, "a secret")
            key = upload(runner, erased, pair, b"a secret picture")
            erased.ask({"action": "sendmessage", **chat, "fileKey": key})
            counts = (
                "2 messages from the user, 1 files, the file of 0 messages from others, "
                "0 files that were never sent, 0 receipts, 1 connections."
            )
            assert f"without --yes): {counts}" in erase(runner, pair.first)
            assert f"by reading again: {counts}" in erase(runner, pair.first, "--yes")
            with pytest.raises(ConnectionClosed) as closed:
                erased.receive()
        assert closed.value.rcvd is not None
        other.receive()
        other.receive()
        page = other.ask({"action": "getmessages", **chat})
        assert [each.get("erased", False) for each in page["messages"]] == [False, True, True]
        assert page["messages"][0]["text"] == "an answer"
        link = other.ask({"action": "sendfile", **chat, "fileKey": key})
        assert link["code"] == "not_found"
    assert "There is nothing to erase." in erase(runner, pair.first, "--yes")
