"""After an erasure nothing that the user wrote is anywhere, and nothing else has changed."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.personal_data.history import History, sorted_rows
from tests.personal_data.tool import Tool
from tests.support import events
from tests.support.backend import ROOT, Backend
from tests.support.document import expect_known
from tests.support.embedded_storage import grow_old
from tests.support.network import (
    ANY,
    Fault,
    FaultAction,
    Killed,
    Send,
    answer_lost,
    denied,
    killed_after,
    killed_before,
)

CHAT = "alice#bob"
THEN = 1764000000000
CONTENT = {"text", "fileKey", "fileName", "contentType", "size"}
FILE = CONTENT - {"text"}

type Erase = Callable[..., int]


@pytest.fixture
def erase(tool: Tool) -> Erase:
    """Erase what bob wrote, without a scan."""

    def run(*options: str) -> int:
        return tool("erase", "--user=bob", *(options or ("--no-scan", "--yes")))

    return run


def everything(backend: Backend) -> bytes:
    """Return all that is stored: items, as tables and the index show them, and objects."""
    tables = [{"TableName": name} for name in ("ChatMessages", "ChatConnections")]
    index = {"TableName": "ChatMessages", "IndexName": "recipientId-index"}
    items = [backend.dynamodb.scan(**each)["Items"] for each in (*tables, index)]
    stored = [json.dumps(items, ensure_ascii=False).encode()]
    for key in objects(backend):
        found = backend.s3.get_object(Bucket=backend.bucket, Key=key)
        headers = [found["ContentType"], found["Metadata"], backend.tags_of(key)]
        stored += [key.encode(), str(headers).encode(), found["Body"].read()]
    return b"\n".join(stored)


def objects(backend: Backend) -> set[str]:
    found = backend.s3.list_objects_v2(Bucket=backend.bucket)
    return {each["Key"] for each in found.get("Contents", [])}


def stored_messages(backend: Backend) -> list[dict[str, Any]]:
    return [row for row in backend.messages() if row["chatId"].count("#") == 1]


def conversation(backend: Backend) -> tuple[str, str]:
    """Let bob and alice send texts and files, and read them; return their connections."""
    bob, alice = backend.connect("bob"), backend.connect("alice")
    file = {"action": "sendfile", "chatId": CHAT, "contentType": "image/png"}
    backend.say(bob, CHAT, "bob's Ünïcode 😀", at=THEN, clientMessageId="c-1")
    backend.say(alice, CHAT, "alice's answer", at=THEN + 1)
    key = backend.upload(bob, file | {"fileName": "bob's 😀.png"}, b"bytes of bob")
    backend.say(bob, CHAT, "bob's caption", at=THEN + 2, fileKey=key)
    key = backend.upload(alice, file | {"fileName": "alice's.png"}, b"bytes of alice")
    frame = {"action": "sendmessage", "chatId": CHAT, "fileKey": key}
    backend.send(alice, frame, at=THEN + 3)
    for user in (bob, alice):
        backend.send(user, {"action": "sendmessage", "chatId": CHAT, "read": THEN + 3})
    return bob, alice


def test_nothing_that_the_user_wrote_is_in_any_item_or_object(
    backend: Backend, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation(backend)
    secrets = ("bob's Ünïcode 😀", "bob's caption", "bob's 😀.png", "bytes of bob")
    before = everything(backend)
    assert all(secret.encode() in before for secret in secrets)
    assert erase() == 0
    after = everything(backend)
    for part in ("bob's", "Ünïcode", "😀", "caption", "bytes of bob"):
        assert part.encode() not in after
    for kept in ("alice's answer", "alice's.png", "bytes of alice"):
        assert kept.encode() in after
    said = capsys.readouterr().err
    assert "2 messages from the user, 1 files" in said
    assert not any(secret in said for secret in secrets)


def test_tombstone_keeps_ids_users_and_time(backend: Backend, erase: Erase) -> None:
    conversation(backend)
    before = stored_messages(backend)
    assert erase() == 0
    after = stored_messages(backend)
    for old, new in zip(before, after, strict=True):
        if old["senderId"] == "bob":
            kept = {name: value for name, value in old.items() if name not in CONTENT}
            assert new == kept | {"erased": True}
        else:
            assert new == old


def test_receipts_of_the_user_are_deleted_and_no_other(backend: Backend, erase: Erase) -> None:
    conversation(backend)
    assert erase() == 0
    rows = {row["chatId"] for row in backend.messages()}
    assert rows == {CHAT, f"{CHAT}#alice", f"{CHAT}#bob#c-1"}


def test_other_user_sees_tombstones(backend: Backend, erase: Erase) -> None:
    _, alice = conversation(backend)
    assert erase() == 0
    page = backend.send(alice, {"action": "getmessages", "chatId": CHAT})
    expect_known(page)
    shown = [message.get("erased") or message.get("text") for message in page["messages"]]
    assert shown == [True, "alice's answer", True, None]
    assert page["receipts"].keys() == {"alice"}


def test_resend_of_an_erased_message_does_not_bring_it_back(backend: Backend, erase: Erase) -> None:
    conversation(backend)
    (key,) = {
        row.get("fileKey") for row in stored_messages(backend) if row["senderId"] == "bob"
    } - {None}
    assert erase() == 0
    again = backend.connect("bob")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "bob's caption", "fileKey": key}
    assert backend.send(again, frame)["code"] == "not_found"
    ack = backend.say(again, CHAT, "bob's Ünïcode 😀", clientMessageId="c-1")
    assert ack["duplicate"]
    assert b"bob's" not in everything(backend)


def test_without_yes_nothing_changes(
    backend: Backend, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    bob, _ = conversation(backend)
    before = everything(backend)
    assert erase("--no-scan") == 0
    assert everything(backend) == before
    assert bob in backend.api.open
    said = capsys.readouterr().err
    assert "To erase (nothing is changed without --yes): 2 messages from the user, 1 files" in said
    assert "1 receipts, 1 connections." in said


def test_second_run_changes_nothing_and_says_so(
    backend: Backend, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation(backend)
    assert erase() == 0
    before = everything(backend)
    backend.wire.calls.clear()
    assert "nothing to erase" not in capsys.readouterr().err
    assert erase() == 0
    operations = {call.partition(".")[2] for call in backend.wire.calls}
    assert everything(backend) == before
    assert "There is nothing to erase." in capsys.readouterr().err
    assert operations == {"DescribeTable", "Query", "BatchGetItem", "ListObjectsV2"}


def test_what_cannot_be_reached_is_said(
    backend: Backend, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation(backend)
    assert erase() == 0
    said = capsys.readouterr().err
    for each in ("backups", "log lines", "devices", "WaitingTopicArn", "Without --scan"):
        assert each in said
    assert erase("--scan", "--yes") == 0
    assert "Without --scan" not in capsys.readouterr().err


def test_document_lists_the_permissions_that_the_command_needs(
    backend: Backend, erase: Erase
) -> None:
    conversation(backend)
    backend.wire.calls.clear()
    assert erase("--scan", "--yes") == 0
    calls = {
        call.replace("ListObjectsV2", "ListBucket").replace(".", ":") for call in backend.wire.calls
    }
    needed = {call for call in calls if not call.startswith("apigatewaymanagementapi")}
    document = (ROOT / "docs" / "operating.md").read_text()
    section = document.split("## Erasing a user's data\n")[1].split("\n## ")[0]
    assert set(re.findall(r"`((?:dynamodb|s3):\w+)`", section)) == needed
    assert backend.api.closed
    assert "`execute-api:ManageConnections`" in section


# --- connections ----------------------------------------------------------------------------------


def test_connections_of_the_user_are_closed_and_forgotten(backend: Backend, erase: Erase) -> None:
    phone, tablet, alice = (backend.connect(user) for user in ("bob", "bob", "alice"))
    gone = backend.connect("bob")
    backend.api.open.remove(gone)
    assert erase() == 0
    assert set(backend.api.closed) == {phone, tablet}
    assert backend.api.open == {alice}
    assert backend.connections() == {alice: "alice"}
    assert backend.listed("bob") == set()


def test_connection_whose_list_expires_meanwhile_leaves_no_row(
    backend: Backend, erase: Erase
) -> None:
    backend.connect("bob")

    def expire(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        key = {"connectionId": {"S": "user#bob"}}
        backend.dynamodb.delete_item(TableName="ChatConnections", Key=key)
        return send()

    with backend.wire.broken(Fault("dynamodb.UpdateItem", expire, times=1)):
        assert erase() == 0
    assert backend.rows("ChatConnections") == []


def test_connection_that_cannot_be_closed_ends_the_run(
    backend: Backend, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    bob, _ = conversation(backend)
    backend.api.broken[bob] = 403
    assert erase() == 1
    assert "ForbiddenException" in capsys.readouterr().err
    assert bob in backend.connections()


# --- files ----------------------------------------------------------------------------------------


def test_file_of_the_user_goes_from_the_messages_of_others_too(
    backend: Backend, erase: Erase
) -> None:
    history = History(backend)
    key = history.send_file("bob", "alice", "cat.png", b"cat")["fileKey"]
    history.send_again("alice", "bob", key, text="look")
    history.send_again("alice", "bob", key)
    history.put()
    assert erase() == 0
    _, with_text, without = stored_messages(backend)
    assert objects(backend) == set()
    assert with_text["text"] == "look"
    assert "erased" not in with_text
    assert with_text.keys().isdisjoint(FILE)
    assert without["erased"] is True
    assert without.keys().isdisjoint(CONTENT)


def test_file_of_another_user_stays_when_the_user_sent_it_on(
    backend: Backend, erase: Erase
) -> None:
    history = History(backend)
    original = history.send_file("alice", "bob", "cat.png", b"cat")
    history.send_again("bob", "alice", original["fileKey"])
    history.put()
    assert erase() == 0
    first, second = stored_messages(backend)
    assert first == original
    assert second["erased"] is True
    assert objects(backend) == {original["fileKey"]}


def test_files_that_were_never_sent_are_deleted_once_they_cannot_be_sent(
    backend: Backend, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    alice = backend.connect("alice")
    backend.say(alice, CHAT, "hello")
    file = {"action": "sendfile", "chatId": CHAT, "fileName": "a.png", "contentType": "image/png"}
    old, new, sent = (backend.upload(alice, file) for _ in range(3))
    backend.say(alice, CHAT, "look", fileKey=sent)
    elsewhere = backend.upload(alice, file | {"chatId": "alice#carol"})
    for key in (old, sent, elsewhere):
        grow_old(backend.bucket, key, timedelta(hours=25))
    grow_old(backend.bucket, new, timedelta(hours=23))
    assert erase() == 0
    assert objects(backend) == {new, sent, elsewhere}
    said = capsys.readouterr().err
    assert "1 files that were never sent" in said
    assert "1 files were uploaded in the last day" in said


# --- finding --------------------------------------------------------------------------------------


def test_only_a_scan_finds_chats_in_which_nobody_answered(backend: Backend, erase: Erase) -> None:
    backend.say(backend.connect("bob"), CHAT, "hello?")
    assert erase() == 0
    assert b"hello?" in everything(backend)
    assert erase("--scan", "--yes") == 0
    assert b"hello?" not in everything(backend)


def test_without_a_choice_and_a_terminal_nothing_is_erased(
    backend: Backend, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation(backend)
    before = everything(backend)
    assert erase("--yes") == 2
    assert "Choose --scan or --no-scan" in capsys.readouterr().err
    assert everything(backend) == before


# --- while others write ---------------------------------------------------------------------------


def test_message_that_the_user_sends_meanwhile_is_erased_too(
    backend: Backend, erase: Erase
) -> None:
    conversation(backend)

    def write(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        backend.say(backend.connect("bob"), CHAT, "written meanwhile")
        return send()

    with backend.wire.broken(Fault("s3.DeleteObject", write, times=1)):
        assert erase() == 0
    assert b"written meanwhile" not in everything(backend)


def test_file_that_the_other_user_sends_on_meanwhile_is_erased_too(
    backend: Backend, erase: Erase
) -> None:
    history = History(backend)
    key = history.send_file("bob", "alice", "bob's.png", b"cat")["fileKey"]
    history.send("alice", "bob", text="nice")
    history.put()

    def send_on(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        backend.say(backend.connect("alice"), CHAT, "look", fileKey=key)
        return send()

    with backend.wire.broken(Fault("s3.DeleteObject", send_on, times=1)):
        assert erase() == 0
    assert b"bob's.png" not in everything(backend)
    assert stored_messages(backend)[-1]["text"] == "look"


def test_user_who_writes_on_makes_the_run_fail(
    backend: Backend, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation(backend)

    def write(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        result = send()
        backend.say(backend.connect("bob"), CHAT, "once more")
        return result

    with backend.wire.broken(Fault("s3.ListObjectsV2", write)):
        assert erase() == 1
    assert "The user writes on" in capsys.readouterr().err
    assert erase() == 0
    assert b"once more" not in everything(backend)


def test_message_that_expires_meanwhile_is_not_brought_back(backend: Backend, erase: Erase) -> None:
    history = History(backend)
    row = history.send("bob", "alice", text="x")
    kept = history.send("alice", "bob", text="y")
    history.put()

    def expire(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        key = {"chatId": {"S": CHAT}, "timestamp": {"N": str(row["timestamp"])}}
        backend.dynamodb.delete_item(TableName="ChatMessages", Key=key)
        return send()

    with backend.wire.broken(Fault("dynamodb.UpdateItem", expire, times=1)):
        assert erase() == 0
    assert backend.messages() == [kept]


def test_call_that_is_denied_ends_the_run(
    backend: Backend, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation(backend)
    with backend.wire.broken(Fault("dynamodb.UpdateItem", denied)):
        assert erase() == 1
    assert "AccessDenied" in capsys.readouterr().err


# --- interruptions ------------------------------------------------------------

_PAIRS = [
    ("bob", "alice"),
    ("alice", "bob"),
    ("bob", "carol"),
    ("carol", "bob"),
    ("alice", "carol"),
]
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(_PAIRS),
        st.sampled_from(["text", "file", "text and file", "sent on", "sent on with text"]),
        st.booleans(),
    ),
    max_size=12,
)
_FAULT_ACTIONS = [killed_before, killed_after, answer_lost]


def write(history: History, steps: list[tuple[tuple[str, str], str, bool]]) -> None:
    """Store messages; what a message says, or its file holds, names its sender."""
    for number, ((sender, recipient), kind, has_id) in enumerate(steps):
        chat_id = "#".join(sorted((sender, recipient)))
        keys = [key for key in history.contents if key.startswith(f"{chat_id}/")]
        secret = f"{sender}'s secret {number}"
        more = {"clientMessageId": f"c-{number}"} if has_id else {}
        if "text" in kind:
            more["text"] = secret
        if "sent on" in kind and keys:
            history.send_again(sender, recipient, keys[number % len(keys)], **more)
        elif "file" in kind:
            name = f"{secret}.png"
            history.send_file(sender, recipient, name, secret.encode(), **more)
        else:
            history.send(sender, recipient, **{"text": secret, **more})
    history.put()


def expected(history: History, *, scan: bool) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the messages and files that an erasure of bob's data leaves."""
    found = {row["chatId"] for row in history.rows if row["recipientId"] == "bob" or scan}
    owners: dict[str, str] = {}
    rows = []
    for row in history.rows:
        owner = owners.setdefault(row["fileKey"], row["senderId"]) if "fileKey" in row else None
        removed: set[str] = set()
        if row["chatId"] in found and row["senderId"] == "bob":
            removed = CONTENT
        elif row["chatId"] in found and owner == "bob":
            removed = FILE
        left = {name: value for name, value in row.items() if name not in removed}
        rows.append(left | ({"erased": True} if left.keys().isdisjoint(CONTENT) else {}))
    files = {
        key for key, owner in owners.items() if owner != "bob" or key.split("/")[0] not in found
    }
    return sorted_rows(rows), files


def pages(backend: Backend, user_id: str, limit: int) -> list[dict[str, Any]]:
    """Read all pages of a user's chats, and the catch-up, without what messages say."""
    connection_id = backend.connect(user_id)
    frames = []
    for other in {"alice", "bob", "carol"} - {user_id}:
        chat_id = "#".join(sorted((user_id, other)))
        ask: dict[str, Any] = {"action": "getmessages", "chatId": chat_id, "limit": limit}
        frames.append(backend.send(connection_id, ask))
        while frames[-1]["more"]:
            frames.append(backend.send(connection_id, ask | {"before": frames[-1]["before"]}))
    synced = backend.send(connection_id, {"action": "getmessages", "since": 0})
    frames += [*backend.api.received(connection_id), synced | {"until": 0}]
    for frame in frames:
        expect_known(frame)
    backend.on_disconnect(events.disconnect(connection_id))
    hidden = CONTENT | {"fileUrl", "erased"}
    return [
        frame
        | {
            "messages": [
                {name: value for name, value in message.items() if name not in hidden}
                for message in frame.get("messages", [])
            ]
        }
        for frame in frames
    ]


def empty(backend: Backend) -> None:
    """Delete what an earlier example stored."""
    for row in backend.rows("ChatMessages"):
        key = {"chatId": {"S": row["chatId"]}, "timestamp": {"N": str(row["timestamp"])}}
        backend.dynamodb.delete_item(TableName="ChatMessages", Key=key)
    for file_key in objects(backend):
        backend.s3.delete_object(Bucket=backend.bucket, Key=file_key)


@pytest.mark.parametrize("action", [killed_before, killed_after])
def test_erasure_that_is_interrupted_at_any_call_is_completed_by_another(
    backend: Backend, erase: Erase, action: FaultAction
) -> None:
    calls = 0
    while True:
        empty(backend)
        history = History(backend)
        backend.connect("bob")
        key = history.send_file("bob", "alice", "bob's secret.png", b"bob's secret")["fileKey"]
        history.send_again("alice", "bob", key, text="nice")
        history.send_again("alice", "bob", key)
        history.send_again("bob", "alice", key)
        history.put()
        messages, files = expected(history, scan=False)
        with backend.wire.broken(Fault(ANY, action, after=calls, times=1)):
            try:
                assert erase() == 0
                break
            except Killed:
                backend.wire.is_dead = False
        assert erase() == 0
        assert stored_messages(backend) == messages
        assert objects(backend) == files
        assert backend.listed("bob") == set()
        assert b"bob's secret" not in everything(backend)
        calls += 1
    assert calls > 10


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=_STEPS,
    interruptions=st.lists(
        st.tuples(st.integers(0, 25), st.sampled_from(_FAULT_ACTIONS)), max_size=5
    ),
    scan=st.booleans(),
    limit=st.integers(1, 4),
)
def test_interrupted_erasure_continues_and_leaves_pages_and_cursors_valid(
    backend: Backend,
    erase: Erase,
    steps: list[tuple[tuple[str, str], str, bool]],
    interruptions: list[tuple[int, FaultAction]],
    scan: bool,
    limit: int,
) -> None:
    empty(backend)
    history = History(backend)
    write(history, steps)
    before = {user: pages(backend, user, limit) for user in ("alice", "carol")}
    records = [row for row in backend.messages() if row["chatId"].count("#") > 1]
    choice = "--scan" if scan else "--no-scan"
    for after, action in interruptions:
        with backend.wire.broken(Fault(ANY, action, after=after, times=1)):
            try:
                erase(choice, "--yes")
            except Killed:
                backend.wire.is_dead = False
    assert erase(choice, "--yes") == 0
    messages, files = expected(history, scan=scan)
    assert stored_messages(backend) == messages
    assert objects(backend) == files
    assert [row for row in backend.messages() if row["chatId"].count("#") > 1] == records
    assert {user: pages(backend, user, limit) for user in ("alice", "carol")} == before
    if scan:
        assert b"bob's secret" not in everything(backend)
