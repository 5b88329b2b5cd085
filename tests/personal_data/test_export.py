"""An export has all that is stored of a user, once, and nothing of others."""

from pathlib import Path

from tests.personal_data.tool import Tool, lines
from tests.support import events
from tests.support.backend import Backend

HOUR_MS = 3_600_000


def test_messages_in_both_directions_are_exported(
    backend: Backend, tool: Tool, tmp_path: Path
) -> None:
    at = events.now() - HOUR_MS
    bob, alice = backend.connect("bob"), backend.connect("alice")
    backend.say(bob, "alice#bob", "to alice", at=at)
    backend.say(alice, "alice#bob", "to bob", at=at + 1)
    backend.say(alice, "alice#carol", "to carol", at=at + 2)
    assert tool("export", "--user=bob", f"--out={tmp_path}/bob", "--no-scan") == 0
    exported = lines(tmp_path / "bob/messages.jsonl")
    assert [line["text"] for line in exported] == ["to bob", "to alice"]
