from collections.abc import Iterator

import pytest

from tests.support.backend import Backend, Logs
from tests.support.clock import Clock
from tests.support.network import Network

CHAT = "user123#user456"
FRAME = {"action": "sendmessage", "chatId": CHAT, "text": "x"}
RATE = 2
BURST = 20 * RATE


@pytest.fixture
def clock(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(is_still=True)
    monkeypatch.setattr(backend.send_message.modules["chat.rate_limit"], "time", clock)
    return clock


@pytest.fixture(autouse=True)
def low_limit(backend: Backend) -> Iterator[None]:
    limit = backend.send_message.module.rate_limit
    usual, limit._frames_per_s = limit._frames_per_s, RATE
    yield
    limit._frames_per_s = usual


def codes(backend: Backend, connection_id: str, number: int) -> list[str | None]:
    return [backend.send(connection_id, FRAME).get("code") for _ in range(number)]


@pytest.mark.usefixtures("clock")
def test_frames_beyond_the_burst_are_unavailable_and_make_no_call(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    assert codes(backend, sender, BURST) == [None] * BURST
    wire.calls.clear()
    reply = backend.reply_to(sender, FRAME)
    error = backend.frame_of(reply)
    assert (reply["statusCode"], error["code"], error["retryAfterMs"]) == (503, "unavailable", 1000)
    assert codes(backend, sender, 3) == ["unavailable"] * 3
    assert backend.send(sender, {"action": "getmessages", "since": 0})["code"] == "unavailable"
    assert wire.calls == []


def test_limited_connection_is_answered_again_later(backend: Backend, clock: Clock) -> None:
    sender = backend.connect("user123")
    codes(backend, sender, BURST)
    assert codes(backend, sender, 1) == ["unavailable"]
    # One frame was refused, and took a token all the same.
    clock.sleep(1 / RATE)
    assert codes(backend, sender, 1) == ["unavailable"]
    clock.sleep(10)
    assert codes(backend, sender, 20) == [None] * 19 + ["unavailable"]


@pytest.mark.usefixtures("clock")
def test_limit_of_one_connection_does_not_limit_others(backend: Backend) -> None:
    """Not even other connections of the same user."""
    sender, tablet = backend.connect("user123"), backend.connect("user123")
    partner = backend.connect("user456")
    codes(backend, sender, BURST + 5)
    assert codes(backend, tablet, 2) == [None, None]
    assert codes(backend, partner, 2) == [None, None]


@pytest.mark.usefixtures("clock")
def test_connection_that_floods_is_closed_once(backend: Backend, logs: Logs) -> None:
    sender = backend.connect("user123")
    codes(backend, sender, 2 * BURST - 1)
    assert backend.api.closed == []
    logs()
    assert codes(backend, sender, 5) == ["unavailable"] * 5
    assert backend.api.closed == [sender]
    closed = [line for line in logs() if line.get("message") == "flooding connection closed"]
    assert [line["outcome"] for line in closed] == ["OK"]


@pytest.mark.usefixtures("clock")
def test_rate_of_0_is_no_limit(backend: Backend) -> None:
    backend.send_message.module.rate_limit._frames_per_s = 0
    assert codes(backend, backend.connect("user123"), 2 * BURST + 1) == [None] * (2 * BURST + 1)


@pytest.mark.usefixtures("clock")
def test_buckets_of_many_connections_take_bounded_memory(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = backend.send_message.modules["chat.rate_limit"]
    monkeypatch.setattr(module, "_MAX_BUCKETS", 3)
    limit = module.RateLimit(backend.send_message.module.push, RATE)
    for number in range(10):
        limit.admit(f"c{number}")
        limit.admit("busy")
    assert list(limit._buckets) == ["c8", "c9", "busy"]
