"""`python -m local --aws-endpoint`, with an emulator that checks signatures."""

from collections.abc import Iterator

import httpx
import pytest

from tests.deploy.emulator import Emulator, device, emulator
from tests.support.runner import LocalRunner, local_runner
from tests.support.users import Pair


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("plain"), has_tls=False) as running:
        yield running


def upload(run: LocalRunner, pair: Pair) -> int:
    """Upload a file, and return the status."""
    with device(run.url, userId=pair.first) as sender:
        file = {"fileName": "notes.txt", "contentType": "text/plain"}
        link = sender.ask({"action": "sendfile", "chatId": pair.chat_id, **file})
        return httpx.put(link["uploadUrl"], headers=link["headers"], content=b"!").status_code


def test_runner_signs_with_test_without_credentials(
    plain: Emulator, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with local_runner("--aws-endpoint", plain.url) as run:
        assert upload(run, pair) == 200


def test_runner_signs_with_the_credentials_of_the_environment(
    plain: Emulator, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = plain.client("iam")
    iam.create_user(UserName="developer")
    policy = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.attach_user_policy(UserName="developer", PolicyArn=policy)
    key = iam.create_access_key(UserName="developer")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    with local_runner("--aws-endpoint", plain.url) as run:
        assert upload(run, pair) == 200
    assert key["AccessKeyId"] in plain.calls.read_text()
