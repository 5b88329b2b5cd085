"""`--data` keeps tables and files between runs, and a crash does not corrupt them."""

import signal
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.local.test_command import fails_with
from tests.support.backend import ROOT
from tests.support.device import device
from tests.support.runner import NO_LAG, LocalRunner, local_runner
from tests.support.users import Pair

pytestmark = pytest.mark.slow

CHAT = ROOT / "template-python.yaml"
CONTENT = b"a picture"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "new" / "data"


def client_of(run: LocalRunner, service: Any) -> Any:
    return boto3.client(
        service, "us-east-1", endpoint_url=run.aws_endpoint,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip


def upload(run: LocalRunner, pair: Pair) -> str:
    frame = {
        "action": "sendfile",
        "chatId": pair.chat_id,
        "fileName": "Grüße #1 & 50%.jpg",
        "contentType": "image/jpeg",
    }
    with device(run.url, userId=pair.first) as sender:
        link = sender.ask(frame)
        put = httpx.put(link["uploadUrl"], headers=link["headers"], content=CONTENT)
        assert put.status_code == 200, put.text
        file_key: str = link["fileKey"]
        return file_key


def say_all(run: LocalRunner, pair: Pair) -> list[str]:
    """Send a text, and a file; return the keys of the file sent, and of one not sent."""
    sent, unsent = upload(run, pair), upload(run, pair)
    with device(run.url, userId=pair.first) as sender:
        assert (
            sender.ask({"action": "sendmessage", "chatId": pair.chat_id, "text": "Grüße"})["type"]
            == "ack"
        )
        assert (
            sender.ask({"action": "sendmessage", "chatId": pair.chat_id, "fileKey": sent})["type"]
            == "ack"
        )
    return [sent, unsent]


def expect_all(run: LocalRunner, pair: Pair, files: list[str]) -> None:
    sent, unsent = files
    with device(run.url, userId=pair.second, since="0") as back:
        text, picture = back.receive()["messages"]
        assert (text["text"], picture["fileKey"]) == ("Grüße", sent)
        answer = httpx.get(picture["fileUrl"])
        assert answer.content == CONTENT
        assert answer.headers["Content-Type"] == "image/jpeg"
    s3 = client_of(run, "s3")
    (bucket,) = s3.list_buckets()["Buckets"]
    tags = {key: s3.get_object_tagging(Bucket=bucket["Name"], Key=key)["TagSet"] for key in files}
    assert tags == {sent: [], unsent: [{"Key": "state", "Value": "unsent"}]}
    s3.close()


def test_messages_and_files_last(folder: Path) -> None:
    pair = Pair.new()
    with local_runner(*NO_LAG, "--data", str(folder)) as run:
        files = say_all(run, pair)
        s3 = client_of(run, "s3")
        (bucket,) = s3.list_buckets()["Buckets"]
        for key in ("deleted", "deleted with others"):
            s3.put_object(Bucket=bucket["Name"], Key=key, Body=b"x")
        s3.delete_object(Bucket=bucket["Name"], Key="deleted")
        s3.delete_objects(
            Bucket=bucket["Name"], Delete={"Objects": [{"Key": "deleted with others"}]}
        )
        s3.close()
    for _ in range(2):  # what was restored lasts as well
        with local_runner(*NO_LAG, "--data", str(folder)) as run:
            expect_all(run, pair, files)
            s3 = client_of(run, "s3")
            assert s3.list_objects_v2(Bucket=bucket["Name"])["KeyCount"] == len(files)
            s3.close()
    with local_runner(*NO_LAG) as run, device(run.url, userId=pair.second, since="0") as back:
        assert back.receive()["type"] == "synced"


def test_each_kind_of_write_lasts(folder: Path) -> None:
    def key(name: str) -> dict[str, Any]:
        return {"chatId": {"S": "a#b"}, "timestamp": {"N": name}}

    table = "ChatMessages"
    with local_runner(*NO_LAG, "--data", str(folder)) as run:
        dynamodb = client_of(run, "dynamodb")
        for number in range(1, 6):
            dynamodb.put_item(TableName=table, Item={**key(str(number)), "text": {"S": "old"}})
        dynamodb.delete_item(TableName=table, Key=key("1"))
        dynamodb.update_item(
            TableName=table, Key=key("2"), UpdateExpression="SET seen = :n",
            ExpressionAttributeValues={":n": {"N": "1"}},
        )  # fmt: skip
        dynamodb.batch_write_item(
            RequestItems={
                table: [
                    {"DeleteRequest": {"Key": key("3")}},
                    {"PutRequest": {"Item": {**key("6"), "blob": {"B": b"\0\xff"}}}},
                ]
            }
        )
        dynamodb.transact_write_items(
            TransactItems=[
                {"Delete": {"TableName": table, "Key": key("4")}},
                {"Put": {"TableName": table, "Item": {**key("7"), "tags": {"SS": ["x", "y"]}}}},
            ]
        )
        before = dynamodb.scan(TableName=table)["Items"]
        dynamodb.close()
    assert sorted(item["timestamp"]["N"] for item in before) == ["2", "5", "6", "7"]
    with local_runner(*NO_LAG, "--data", str(folder)) as run:
        dynamodb = client_of(run, "dynamodb")
        after = dynamodb.scan(TableName=table)["Items"]
        dynamodb.close()
    assert sorted(after, key=str) == sorted(before, key=str)


def test_killed_runner_does_not_corrupt_the_folder(folder: Path) -> None:
    pair = Pair.new()
    with local_runner(*NO_LAG, "--data", str(folder)) as run:
        files = say_all(run, pair)
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
    with local_runner(*NO_LAG, "--data", str(folder)) as run:
        expect_all(run, pair, files)


def database_of(run: LocalRunner) -> str:
    text = httpx.get(f"{run.origin}/database.js").text
    return text.removeprefix("export const databaseId = ")


def test_page_learns_whether_the_database_is_the_same(folder: Path) -> None:
    ids = []
    for data in (folder, folder, folder.with_name("other")):
        with local_runner("--page", "page", "--data", str(data)) as run:
            ids.append(database_of(run))
    assert ids[0] == ids[1] != ids[2]


def test_folder_in_use_is_a_one_line_error(folder: Path) -> None:
    with local_runner("--data", str(folder)):
        fails_with("is in use by another runner", "--port", "0", "--data", folder)


@pytest.mark.parametrize("content", [b"no database", b""], ids=["another file", "empty"])
def test_folder_with_another_file_is_not_overwritten(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    file = folder / "tables-and-files.sqlite"
    file.write_bytes(content * 1000)
    if content:
        fails_with("cannot be used", "--port", "0", "--data", folder)
        assert file.read_bytes() == content * 1000
    else:
        with local_runner("--data", str(folder)) as run:
            assert run.process.poll() is None


def test_data_with_an_aws_endpoint_is_a_one_line_error(folder: Path) -> None:
    endpoint = ("--aws-endpoint", "http://127.0.0.1:1")
    fails_with("--data is for the embedded", "--port", "0", "--data", folder, *endpoint)
