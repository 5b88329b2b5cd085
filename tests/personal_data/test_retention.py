"""The retention that is deployed, applied to what was stored before it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from tests.personal_data.history import History
from tests.personal_data.tool import Tool
from tests.support import events
from tests.support.backend import Backend
from tests.support.embedded_storage import grow_old
from tests.support.network import Fault, Killed, Send, answer, killed_after, s3_answers

DAY_S = 86_400
DAY_MS = DAY_S * 1000
YEAR_MS = 365 * DAY_MS


@pytest.fixture
def retain(tool: Tool) -> Callable[..., int]:
    def run(days: int, *options: str) -> int:
        return tool("retention", f"--days={days}", *(options or ("--yes",)))

    return run


def ago(days: float) -> int:
    """Return a time in milliseconds since 1970."""
    return events.now() - int(days * DAY_MS)


def head(backend: Backend, key: str) -> dict[str, Any]:
    found: dict[str, Any] = backend.s3.head_object(Bucket=backend.bucket, Key=key)
    return found


def ttl_of(timestamp: int, days: int) -> int:
    return -(-timestamp // 1000) + days * DAY_S


def test_messages_and_their_records_get_the_same_ttl(
    backend: Backend, retain: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    history = History(backend)
    history.send("alice", "bob", text="old", clientMessageId="c1", timestamp=ago(9) // 1000 * 1000)
    history.send("bob", "alice", text="new", clientMessageId="c2", timestamp=ago(1) | 1)
    history.send("bob", "alice", text="without a record", timestamp=ago(2))
    history.put()
    assert retain(7) == 0
    wanted = {row["messageId"]: ttl_of(row["timestamp"], 7) for row in history.rows}
    rows = backend.messages()
    assert len(rows) == 5
    assert {(row["messageId"], row["ttl"]) for row in rows} == set(wanted.items())
    said = capsys.readouterr().err
    assert "Changed: 3 messages, 0 receipts" in said
    assert "1 of these messages have expired by that" in said


def test_receipts_expire_by_their_newest_time(backend: Backend, retain: Callable[..., int]) -> None:
    bob, alice = backend.connect("bob"), backend.connect("alice")
    at = backend.say(alice, "alice#bob", "hello", clientMessageId="c1")["timestamp"]
    backend.send(bob, {"action": "sendmessage", "chatId": "alice#bob", "received": at})
    assert retain(30) == 0
    assert [row["ttl"] for row in backend.messages()] == [ttl_of(at, 30)] * 3


def test_without_yes_changes_are_counted_and_not_made(
    backend: Backend, retain: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    History.random(backend, 1, "abc", 20)
    before = backend.messages()
    assert retain(30, "--rate=1000000") == 0
    assert backend.messages() == before
    said = capsys.readouterr().err
    assert "Would change: 20 messages" in said
    assert "Give --yes" in said
    assert "A scan reads the whole table" in said


@pytest.mark.parametrize("days", [1, 30, 3653])
def test_second_run_changes_nothing(
    backend: Backend, retain: Callable[..., int], days: int
) -> None:
    history = History(backend)
    for age in (0.5, 20, 1000, 4000, 6000):
        history.send("alice", "bob", text="x", clientMessageId=f"c{age}", timestamp=ago(age))
    history.put()
    receipt = {"chatId": {"S": "alice#bob#bob"}, "timestamp": {"N": "0"}}
    backend.dynamodb.put_item(
        TableName="ChatMessages", Item={**receipt, "read": {"N": str(ago(0.5))}}
    )
    assert retain(days) == 0
    before = backend.messages()
    backend.wire.calls.clear()
    assert retain(days) == 0
    assert backend.messages() == before
    assert set(backend.wire.calls) == {"dynamodb.DescribeTable", "dynamodb.Scan"}


def test_row_that_expired_years_ago_gets_a_time_at_which_dynamodb_deletes_it(
    backend: Backend, retain: Callable[..., int]
) -> None:
    history = History(backend)
    history.send("alice", "bob", text="ancient", timestamp=ago(0) - 6 * YEAR_MS)
    history.send("alice", "bob", text="old", timestamp=ago(0) - 4 * YEAR_MS)
    history.put()
    assert retain(1) == 0
    ancient, old = backend.messages()
    assert 0 <= events.now() // 1000 - ancient["ttl"] < 60
    assert old["ttl"] == ttl_of(old["timestamp"], 1)


def test_zero_days_remove_ttl(backend: Backend, retain: Callable[..., int]) -> None:
    history = History.random(backend, 1, "abc", 20)
    before = backend.messages()
    assert retain(30) == 0
    assert retain(0) == 0
    assert backend.messages() == before
    assert len(before) > len(history.rows)


def test_what_has_expired_stays_expired(backend: Backend, retain: Callable[..., int]) -> None:
    history = History(backend)
    history.send("alice", "bob", text="x", clientMessageId="c", ttl=events.now() // 1000 - 9)
    history.put()
    before = backend.messages()
    assert retain(3653) == 0
    assert retain(0) == 0
    assert backend.messages() == before


def test_message_that_is_deleted_meanwhile_is_not_written_anew(
    backend: Backend, retain: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    history = History(backend)
    history.send("alice", "bob", text="x", clientMessageId="c")
    history.send("alice", "bob", text="y")
    history.put()

    def delete_all(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        for row in backend.messages():
            key = {"chatId": {"S": row["chatId"]}, "timestamp": {"N": str(row["timestamp"])}}
            backend.dynamodb.delete_item(TableName="ChatMessages", Key=key)
        return send()

    late = [Fault(f"dynamodb.{each}", delete_all) for each in ("UpdateItem", "TransactWriteItems")]
    with backend.wire.broken(*late):
        assert retain(30) == 0
    assert backend.messages() == []
    assert "Changed: 0 messages" in capsys.readouterr().err


def test_record_whose_message_does_not_name_it_expires_with_it(
    backend: Backend, retain: Callable[..., int]
) -> None:
    history = History(backend)
    row = history.send("alice", "bob", text="x", clientMessageId="c")
    history.put()
    key = {"chatId": {"S": row["chatId"]}, "timestamp": {"N": str(row["timestamp"])}}
    backend.dynamodb.update_item(
        TableName="ChatMessages", Key=key, UpdateExpression="REMOVE clientMessageId"
    )
    assert retain(30) == 0
    assert [each["ttl"] for each in backend.messages()] == [ttl_of(row["timestamp"], 30)] * 2


def test_message_that_names_a_record_that_is_not_there_gets_a_ttl(
    backend: Backend, retain: Callable[..., int]
) -> None:
    history = History(backend)
    row = history.send("alice", "bob", text="x", clientMessageId="c")
    history.put()
    key = {"chatId": {"S": "alice#bob#alice#c"}, "timestamp": {"N": "0"}}
    backend.dynamodb.delete_item(TableName="ChatMessages", Key=key)
    assert retain(30) == 0
    assert [each["ttl"] for each in backend.messages()] == [ttl_of(row["timestamp"], 30)]


def test_receipt_that_moves_meanwhile_keeps_the_ttl_of_the_layer(
    backend: Backend, retain: Callable[..., int]
) -> None:
    key = {"chatId": {"S": "alice#bob#bob"}, "timestamp": {"N": "0"}}
    old, new = ago(3), ago(1)
    backend.dynamodb.put_item(
        TableName="ChatMessages", Item={**key, "received": {"N": str(new)}, "read": {"N": str(old)}}
    )

    def move(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        item = {**key, "read": {"N": str(new)}, "ttl": {"N": "9999999999"}}
        backend.dynamodb.put_item(TableName="ChatMessages", Item=item)
        return send()

    with backend.wire.broken(Fault("dynamodb.UpdateItem", move)):
        assert retain(30) == 0
    (receipt,) = backend.messages()
    assert receipt["ttl"] == 9999999999
    assert retain(30) == 0
    (receipt,) = backend.messages()
    assert receipt["ttl"] == ttl_of(new, 30)


def conflict(request: AWSPreparedRequest, _: Send) -> AWSResponse:
    return answer(
        request,
        400,
        "TransactionCanceledException",
        CancellationReasons=[{"Code": "None"}, {"Code": "TransactionConflict"}],
    )


@pytest.mark.parametrize(("times", "status"), [(3, 0), (100, 1)])
def test_conflicts_with_resends_are_tried_again(
    backend: Backend,
    retain: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    times: int,
    status: int,
) -> None:
    monkeypatch.setattr("personal_data.retention.time.sleep", lambda _: None)
    history = History(backend)
    history.send("alice", "bob", text="x", clientMessageId="c")
    history.put()
    with backend.wire.broken(Fault("dynamodb.TransactWriteItems", conflict, times=times)):
        assert retain(30) == status
    assert all(("ttl" in row) == (status == 0) for row in backend.messages())


def test_run_that_is_interrupted_at_any_write_can_be_repeated(
    backend: Backend, retain: Callable[..., int]
) -> None:
    history = History.random(backend, 3, "abc", 9)
    wanted = {row["messageId"]: ttl_of(row["timestamp"], 30) for row in history.rows}
    for after in (2, 3, 2):
        backend.wire.is_dead = False
        with pytest.raises(Killed), backend.wire.broken(Fault("*", killed_after, after=after)):
            retain(30)
    backend.wire.is_dead = False
    assert retain(30) == 0
    assert {(row["messageId"], row["ttl"]) for row in backend.messages()} == set(wanted.items())


def test_file_that_was_sent_again_late_is_kept_as_long_as_its_message(
    backend: Backend, retain: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    history = History(backend)
    key = history.send_file("alice", "bob", "cat.png", b"cat", timestamp=ago(40))["fileKey"]
    history.send_again("bob", "alice", key, timestamp=ago(10))
    fresh = history.send_file("bob", "alice", "dog.png", b"dog", timestamp=ago(39.5))["fileKey"]
    history.put()
    for each in (key, fresh):
        grow_old(backend.bucket, each, timedelta(days=40))
    uploaded = head(backend, key)["LastModified"]
    assert retain(60, "--stack=unused") == 0
    assert head(backend, key)["LastModified"] == uploaded
    assert retain(60) == 0
    assert capsys.readouterr().err.count(" 1 files") == 2
    found = head(backend, key)
    assert found["LastModified"] > uploaded + timedelta(days=39)
    assert found["ContentType"] == "image/png"
    assert head(backend, fresh)["LastModified"] == uploaded
    assert retain(60) == 0
    assert " 0 files" in capsys.readouterr().err


def test_file_that_is_gone_does_not_end_the_run(
    backend: Backend, retain: Callable[..., int]
) -> None:
    history = History(backend)
    key = history.send_file("alice", "bob", "cat.png", b"cat")["fileKey"]
    history.put()
    backend.s3.delete_object(Bucket=backend.bucket, Key=key)
    assert retain(60) == 0
    with backend.wire.broken(Fault("s3.HeadObject", s3_answers(403))):
        assert retain(60) == 1


@pytest.mark.parametrize("days", ["-1", "many"])
def test_days_are_a_whole_number(tool: Tool, days: str) -> None:
    with pytest.raises(SystemExit) as ended:
        tool("retention", f"--days={days}")
    assert ended.value.code == 2
