"""The tool uses no more capacity a second than it may."""

from pathlib import Path

import pytest

from personal_data.rate import Rate
from tests.personal_data.history import History
from tests.personal_data.tool import Tool
from tests.support.backend import Backend
from tests.support.clock import Clock
from tests.support.embedded_storage import pages_of
from tests.support.network import Fault, leaves_out


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(is_still=True)
    monkeypatch.setattr("personal_data.rate.time", clock)
    return clock


def test_units_are_spread_over_time(clock: Clock) -> None:
    rate = Rate(100)
    for _ in range(10):
        rate.spend(128)
    assert clock.slept_s == pytest.approx(12.8)


def test_time_without_calls_allows_no_burst(clock: Clock) -> None:
    rate = Rate(100)
    clock.slept_s = began = 3600.0
    rate.spend(500)
    assert clock.slept_s - began == pytest.approx(4)


def test_all_that_an_export_reads_counts(
    backend: Backend, tool: Tool, tmp_path: Path, clock: Clock
) -> None:
    History.random(backend, 1, "abcd", 40)
    with pages_of(1000):
        assert tool("export", "--user=a", f"--out={tmp_path}/a", "--no-scan", rate=10) == 0
    reads = {"dynamodb.Query", "dynamodb.BatchGetItem"}
    calls = [call for call in backend.wire.calls if call in reads]
    assert len(calls) > 10
    # Each takes half a unit at least.
    assert clock.slept_s >= len(calls) * 0.5 / 10


def test_keys_that_dynamodb_leaves_out_are_asked_for_again(
    backend: Backend, tool: Tool, tmp_path: Path
) -> None:
    backend.connect("bob")
    with backend.wire.broken(
        Fault("dynamodb.BatchGetItem", leaves_out("user#bob"), times=1),
    ):
        assert tool("export", "--user=bob", f"--out={tmp_path}/bob", "--no-scan") == 0
    assert len((tmp_path / "bob/connections.jsonl").read_text().splitlines()) == 2
