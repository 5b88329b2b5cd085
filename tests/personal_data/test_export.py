"""An export has all that is stored of a user, once, and nothing of others."""

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.personal_data.history import History, sorted_rows
from tests.personal_data.tool import Tool, lines
from tests.support import events
from tests.support.backend import Backend
from tests.support.embedded_storage import pages_of
from tests.support.network import ANY, Fault, Killed, Send, killed_before, s3_answers

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
DAY_S = 86_400


@pytest.fixture
def export(tool: Tool, tmp_path: Path) -> Callable[..., int]:
    """Export bob's data into the folder `bob`, by default without a scan."""

    def run(*options: str, **more: Any) -> int:
        return tool("export", "--user=bob", f"--out={tmp_path}/bob", *(options or OPTIONS), **more)

    return run


OPTIONS = ("--no-scan",)


def messages_in(folder: Path) -> list[dict[str, Any]]:
    """Read the exported messages, without the names of their files on disk."""
    exported = lines(folder / "bob/messages.jsonl")
    return sorted_rows({k: v for k, v in line.items() if k != "savedAs"} for line in exported)


def summary_in(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((folder / "bob/summary.json").read_text())
    return summary


def test_what_the_backend_stored_is_exported(
    backend: Backend, export: Callable[..., int], tmp_path: Path
) -> None:
    at = events.now() - HOUR_MS
    bob, alice = backend.connect("bob"), backend.connect("alice")
    backend.say(bob, "alice#bob", "to alice", at=at, clientMessageId="c1")
    backend.say(alice, "alice#bob", "to bob", at=at + 1)
    backend.say(alice, "alice#carol", "to carol", at=at + 2)
    backend.send(bob, {"action": "sendmessage", "chatId": "alice#bob", "read": at + 1})
    assert export() == 0
    exported = lines(tmp_path / "bob/messages.jsonl")
    assert [line["text"] for line in exported] == ["to bob", "to alice"]
    assert exported[1] in backend.messages()
    (receipt,) = lines(tmp_path / "bob/receipts.jsonl")
    assert (receipt["chatId"], receipt["read"]) == ("alice#bob#bob", at + 1)
    listed, connection = lines(tmp_path / "bob/connections.jsonl")
    assert (listed["connectionId"], bob in listed) == ("user#bob", True)
    assert (connection["connectionId"], connection["userId"]) == (bob, "bob")
    counts = summary_in(tmp_path)
    assert (counts["received"], counts["sent"], counts["chats"]) == (1, 1, 1)
    assert (counts["receipts"], counts["connections"]) == (1, 2)


def test_user_without_any_row_has_an_empty_export(
    backend: Backend, export: Callable[..., int], tmp_path: Path
) -> None:
    History.random(backend, 1, "ac", 5)
    assert export() == 0
    assert summary_in(tmp_path)["received"] == 0
    assert messages_in(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["cat.png", "Ünïcode 😀.png", "a" * 251 + ".png", "😀" * 60 + ".png", 'a:*?"<>|b.png']
)
def test_files_are_saved_under_safe_unique_names(
    backend: Backend, export: Callable[..., int], tmp_path: Path, name: str
) -> None:
    history = History(backend)
    history.send_file("alice", "bob", name, b"first")
    history.send_file("bob", "alice", name, b"second", text="look")
    history.put()
    assert export() == 0
    names = [line["savedAs"] for line in lines(tmp_path / "bob/messages.jsonl")]
    saved = [(tmp_path / "bob/files" / each).read_bytes() for each in names]
    assert saved == [b"first", b"second"]
    assert all(each.endswith(".png") and len(each.encode()) <= 240 for each in names)
    assert not any(set(each) & set('/\\:*?"<>|') for each in names)
    assert summary_in(tmp_path)["bytes"] == len(b"firstsecond")


def test_file_that_two_messages_refer_to_is_saved_once(
    backend: Backend, export: Callable[..., int], tmp_path: Path
) -> None:
    history = History(backend)
    row = history.send_file("alice", "bob", "cat.png", b"cat")
    history.send_again("bob", "alice", row["fileKey"])
    history.put()
    assert export() == 0
    first, second = lines(tmp_path / "bob/messages.jsonl")
    assert first["savedAs"] == second["savedAs"]
    assert summary_in(tmp_path)["files"] == 1


def test_file_that_is_gone_is_said(
    backend: Backend, export: Callable[..., int], tmp_path: Path
) -> None:
    history = History(backend)
    row = history.send_file("alice", "bob", "cat.png", b"cat")
    history.put()
    backend.s3.delete_object(Bucket=backend.bucket, Key=row["fileKey"])
    assert export() == 0
    (line,) = lines(tmp_path / "bob/messages.jsonl")
    assert line["savedAs"] is None
    assert (summary_in(tmp_path)["files"], summary_in(tmp_path)["missingFiles"]) == (0, 1)


def test_file_that_may_not_be_read_ends_the_export(
    backend: Backend, export: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    history = History(backend)
    history.send_file("alice", "bob", "cat.png", b"cat")
    history.put()
    with backend.wire.broken(Fault("s3.GetObject", s3_answers(403, "AccessDenied"))):
        assert export() == 1
    assert "AccessDenied" in capsys.readouterr().err


def test_messages_of_the_last_minute_are_left_out(
    backend: Backend, export: Callable[..., int], tmp_path: Path
) -> None:
    history = History(backend)
    old = history.send("alice", "bob", text="old")
    history.send("alice", "bob", text="new", timestamp=events.now() - MINUTE_MS // 2)
    history.put()
    assert export() == 0
    assert messages_in(tmp_path) == [old]


def test_only_a_scan_finds_chats_in_which_nobody_answered(
    backend: Backend, export: Callable[..., int], tool: Tool, tmp_path: Path
) -> None:
    history = History(backend)
    history.send("bob", "alice", text="hello?")
    history.put()
    assert export() == 0
    assert messages_in(tmp_path) == []
    assert tool("export", "--user=bob", f"--out={tmp_path}/all/bob", "--scan") == 0
    assert messages_in(tmp_path / "all") == history.rows
    assert summary_in(tmp_path / "all")["scanned"]


def test_scan_is_announced_with_its_cost(
    backend: Backend, export: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    history = History(backend)
    for _ in range(100):
        history.send("alice", "bob", text="x" * 1000)
    history.put()
    assert export("--scan", rate=5) == 0
    said = capsys.readouterr().err
    assert "about 100 items" in said
    assert "read units, $0.0000" in said
    assert "--rate 5" in said


def test_without_a_choice_and_a_terminal_the_cost_is_said_and_nothing_is_done(
    backend: Backend,
    export: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert export("--stack=unused") == 2
    assert "Choose --scan or --no-scan" in capsys.readouterr().err
    assert not (tmp_path / "bob").exists()
    assert set(backend.wire.calls) == {"dynamodb.DescribeTable"}


@pytest.mark.parametrize(("answer", "scanned"), [("y\n", True), ("n\n", False), ("", False)])
def test_on_a_terminal_the_scan_is_asked_for(
    backend: Backend,
    export: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answer: str,
    scanned: bool,
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    History.random(backend, 1, "abc", 5)
    assert export("--stack=unused") == 0
    assert summary_in(tmp_path)["scanned"] is scanned


def empty(backend: Backend) -> None:
    """Delete the messages of an earlier example."""
    for row in backend.rows("ChatMessages"):
        key = {"chatId": {"S": row["chatId"]}, "timestamp": {"N": str(row["timestamp"])}}
        backend.dynamodb.delete_item(TableName="ChatMessages", Key=key)


class Terminal:
    """A terminal on which somebody types one line."""

    def __init__(self, line: str) -> None:
        self._line = line

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._line


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(), st.booleans(), st.integers(300, 3000))
def test_export_is_exactly_what_the_user_wrote_and_received(
    backend: Backend,
    tool: Tool,
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    scan: bool,
    page: int,
) -> None:
    folder = tmp_path_factory.mktemp("export")
    empty(backend)
    with pages_of(page):
        history = History.random(backend, seed, "abcdef", 30)
        choice = "--scan" if scan else "--no-scan"
        assert tool("export", "--user=a", f"--out={folder}/bob", choice) == 0
        assert messages_in(folder) == history.between("a", answered=not scan)
        for line in lines(folder / "bob/messages.jsonl"):
            if "fileKey" in line:
                saved = (folder / "bob/files" / line["savedAs"]).read_bytes()
                assert saved == history.contents[line["fileKey"]]


@pytest.mark.parametrize("choice", ["--scan", "--no-scan"])
def test_export_that_is_interrupted_at_any_call_goes_on(
    backend: Backend, tool: Tool, tmp_path: Path, choice: str
) -> None:
    history = History.random(backend, 7, "abcd", 12)
    command = ("export", "--user=a", choice)
    with pages_of(700):
        assert tool(*command, f"--out={tmp_path}/whole") == 0
        whole = files_in(tmp_path / "whole")
        for calls in range(1, 1_000, 2):
            folder = tmp_path / str(calls)
            # The second attempt is interrupted too, later; the third is not.
            faults = [Fault(ANY, killed_before, after=n * calls - 1, times=1) for n in (1, 2, 1000)]
            ended = [attempt(backend, fault, tool, *command, f"--out={folder}") for fault in faults]
            assert files_in(folder) == whole
            if ended[0]:
                break
    assert calls > 10
    assert len(history.between("a")) > 3


def attempt(backend: Backend, fault: Fault, tool: Tool, *command: str) -> bool:
    """Run the tool until a fault kills it; return whether it came to its end."""
    backend.wire.is_dead = False
    try:
        with backend.wire.broken(fault):
            assert tool(*command) == 0
    except Killed:
        return False
    return True


def files_in(folder: Path) -> dict[str, bytes]:
    """Read all files of an export, but for the time until which it goes."""
    contents = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    summary = json.loads(contents["summary.json"])
    return contents | {"summary.json": json.dumps(summary | {"until": ""}).encode()}


def test_interrupted_run_says_how_to_go_on(
    backend: Backend, export: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupt(_: AWSPreparedRequest, __: Send) -> AWSResponse:
        raise KeyboardInterrupt

    with backend.wire.broken(Fault("dynamodb.Query", interrupt)):
        assert export() == 130
    assert "the same command again goes on" in capsys.readouterr().err
    (tmp_path / "bob/files/left.12345678").write_bytes(b"half a file")
    assert export() == 0
    assert "goes on where it was interrupted" in capsys.readouterr().err
    assert not list((tmp_path / "bob/files").iterdir())


def test_finished_export_is_not_repeated(
    backend: Backend, export: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export() == 0
    before = files_in(tmp_path / "bob")
    backend.wire.calls.clear()
    assert export() == 0
    assert "finished already: 0 messages" in capsys.readouterr().err
    assert backend.wire.calls == []
    assert files_in(tmp_path / "bob") == before


def test_folder_with_the_export_of_another_user_is_refused(
    export: Callable[..., int], tool: Tool, tmp_path: Path
) -> None:
    assert export() == 0
    assert tool("export", "--user=carol", f"--out={tmp_path}/bob", "--no-scan") == 2


def test_folder_with_an_unfinished_export_of_another_user_is_refused(
    backend: Backend, export: Callable[..., int], tool: Tool, tmp_path: Path
) -> None:
    with backend.wire.broken(Fault("dynamodb.Query", killed_before)), pytest.raises(Killed):
        export()
    backend.wire.is_dead = False
    assert tool("export", "--user=carol", f"--out={tmp_path}/bob", "--no-scan") == 2


def test_folder_with_other_files_is_refused(export: Callable[..., int], tmp_path: Path) -> None:
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob/letter.txt").write_text("mine")
    assert export() == 2
    assert [path.name for path in (tmp_path / "bob").iterdir()] == ["letter.txt"]


def test_messages_that_were_lost_on_the_disk_are_noticed(
    backend: Backend, export: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    History.random(backend, 1, ["alice", "bob"], 9)
    with backend.wire.broken(Fault("dynamodb.BatchGetItem", killed_before)), pytest.raises(Killed):
        export()
    backend.wire.is_dead = False
    (tmp_path / "bob/messages.jsonl").write_text("")
    assert export() == 1
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(("sender", "recipient"), [("alice", "bob"), ("bob", "alice")])
def test_export_that_lacks_a_message_fails(
    backend: Backend,
    export: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    sender: str,
    recipient: str,
) -> None:
    history = History(backend)
    history.send("alice", "bob", text="there from the beginning")
    history.put()

    def meanwhile(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        backend.wire.is_dead = False
        History(backend, history.rows).put()
        return send()

    late = Fault("dynamodb.BatchGetItem", meanwhile, times=1)
    history.send(sender, recipient, text="stored late")
    with backend.wire.broken(late):
        assert export() == 1
    assert "messages" in (said := capsys.readouterr().err)
    assert "Delete the folder, and export again" in said
    assert "stored late" not in said


def test_rows_that_expire_meanwhile_are_no_difference(
    backend: Backend, export: Callable[..., int], tmp_path: Path
) -> None:
    history = History(backend)
    soon = history.send("alice", "bob", text="soon", ttl=events.now() // 1000 + 60)
    history.send("bob", "alice", text="kept", ttl=events.now() // 1000 + 9 * DAY_S)
    history.put()

    def expire(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        key = {"chatId": {"S": soon["chatId"]}, "timestamp": {"N": str(soon["timestamp"])}}
        backend.dynamodb.delete_item(TableName="ChatMessages", Key=key)
        return send()

    with backend.wire.broken(Fault("dynamodb.BatchGetItem", expire, times=1)):
        assert export() == 0
    assert messages_in(tmp_path) == history.rows


def test_no_text_and_no_file_name_is_printed(
    backend: Backend, export: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    history = History(backend)
    history.send_file("alice", "bob", "private.png", b"hidden", text="secret")
    history.put()
    assert export("--scan") == 0
    assert export("--scan") == 0
    printed = "".join(capfd.readouterr())
    assert "1 messages to the user" in printed
    assert not [each for each in ("private", "secret", "hidden") if each in printed]


class Screen(io.StringIO):
    """A terminal that remembers what it has shown."""

    def isatty(self) -> bool:
        return True


def test_terminal_shows_the_progress(
    backend: Backend, export: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", Screen())
    History.random(backend, 1, ["alice", "bob"], 9)
    assert export() == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", cast("Screen", sys.stderr).getvalue())
    assert re.search(r"messages received.* [1-9]/\?", shown)
    assert re.search(r"chats.* 1/1", shown)
    assert re.search(r"counting again.* 2/2", shown)
    assert "secret" not in shown


@pytest.mark.slow
def test_ten_thousand_messages_are_exported_and_counted(
    backend: Backend, export: Callable[..., int], tmp_path: Path
) -> None:
    history = History(backend)
    for number in range(10_000):
        partner = f"user{number % 7}"
        pair = ("bob", partner) if number % 3 else (partner, "bob")
        history.send(*pair, text=f"text {number} " + "x" * 200)
    history.put()
    assert export() == 0
    assert messages_in(tmp_path) == sorted_rows(history.rows)
    counts = summary_in(tmp_path)
    assert (counts["received"], counts["sent"], counts["chats"]) == (3_334, 6_666, 7)
