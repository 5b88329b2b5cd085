"""Nothing in the fault suite is kinder than AWS: indexes lag, and writes take their time."""

import pytest

from tests.support.backend import Backend
from tests.support.clock import Clock

# Nearly what `chat.catch_up` allows it. Rows of an index may lag a second on a bad day.
_INDEX_LAG_S = 1.9
_WRITE_S = 0.8


@pytest.fixture
def clock(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What every module of send_message takes for time, with AWS's own delays and our timeouts."""
    clock = Clock()
    modules = backend.send_message.modules
    for module in modules.values():
        if hasattr(module, "time"):
            monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(modules["chat.messages"], "STORE_TIMEOUT_S", 2.0)
    monkeypatch.setattr(modules["chat.retry"], "_FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(modules["chat.catch_up"], "INDEX_LAG_S", 2.0)
    backend.wire.clock = clock
    backend.wire.index_lag_s, backend.wire.write_s = _INDEX_LAG_S, _WRITE_S
    return clock
