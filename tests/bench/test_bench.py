"""The quick form runs, and counts what is promised. No duration is compared."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.backend import ROOT


@pytest.mark.timeout(300)
def test_quick_bench_runs_and_counts_the_promised_calls(tmp_path: Path) -> None:
    """Takes over twenty seconds: it starts 20 Pythons and two local runners, and holds up calls."""
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    found = json.loads(file.read_text())
    calls = found["calls"]
    for text in ("text, one device a side", "text, two devices a side", "text, 16 devices a side"):
        assert calls[text]["deep"] == 3
        assert (calls[text]["reads"], calls[text]["writes"]) == (2, 2)
    assert calls["text, cold container"]["deep"] == 4
    # What a topic adds, and only for messages that wait.
    offline = calls["text, recipient offline"]["calls"]
    assert "sns.Publish" not in offline
    assert calls["text, recipient offline, with a topic"]["calls"] == offline | {"sns.Publish": 1}
    assert calls["text of a server, one device"]["deep"] == 3
    assert calls["upload link, cold container"]["calls"] == {"dynamodb.GetItem": 1}
    assert calls["connect"]["deep"] == 1
    assert calls["upload link"]["calls"] == {}
    assert calls["`getmessages` with `since`, nothing missed"]["calls"] == {"dynamodb.Query": 1}
    page = calls["`getmessages` with `chatId`, 50 messages"]
    assert (page["deep"], page["calls"]) == (1, {"dynamodb.Query": 1, "dynamodb.GetItem": 2})
    assert calls["receipt, one device a side"]["writes"] == 1
    assert calls["typing, one device a side"]["writes"] == 0
    assert calls["`getmessages` with `since`, 500 messages"]["pushes"] < 12
    # The mark, which keeps a second one from running.
    assert calls["`getmessages` with `since`, 500 messages"]["writes"] == 2
    assert calls["disconnect"]["calls"] == {
        "dynamodb.DeleteItem": 1,
        "dynamodb.UpdateItem": 1,
    }
    assert all(0 <= share <= 1 for share in found["warm"]["profile"].values())
    few, many = found["flatness"].values()
    assert (few["reads"], few["writes"]) == (many["reads"], many["writes"])
    assert str(ROOT) not in file.read_text()
