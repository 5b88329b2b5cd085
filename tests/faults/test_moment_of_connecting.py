"""Messages around the moment of connecting, while an index lags or a write takes long.

Everything is real but the network: threads, moto, the clock. No model could hide what it assumes.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.support import events
from tests.support.backend import Backend

pytestmark = pytest.mark.slow

TRIALS = 100
# When a recipient connects: from so long before its message is sent until so long after.
AROUND_S = (-1.0, 1.0)
IN_TIME_S = 10.0


@pytest.mark.parametrize(
    ("index_lag_s", "write_s"), [(0.1, 0), (0.5, 0), (1.5, 0), (0, 0.3), (0, 0.8), (1.5, 0.8)]
)
def test_no_message_around_the_moment_of_connecting_is_missed(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, index_lag_s: float, write_s: float
) -> None:
    """Takes some ten seconds: a second look comes after two, and 100 trials share one core."""
    module, modules = backend.send_message.module, backend.send_message.modules
    monkeypatch.setattr(modules["chat.catch_up"], "INDEX_LAG_S", 2.0)
    backend.wire.index_lag_s, backend.wire.write_s = index_lag_s, write_s
    sender = backend.connect("sender")

    def trial(_: int) -> str | None:
        """Send one message while its recipient connects; return its id if it is missed."""
        recipient = f"recipient-{uuid4().hex}"
        connecting = random.uniform(*AROUND_S)  # noqa: S311 -- no secret
        frame = modules["chat.client_frame"].ClientFrame(
            {"chatId": f"{recipient}#sender", "text": "now", "clientMessageId": "c-1"}
        )

        def send() -> Any:
            time.sleep(max(0, -connecting))
            return module.delivery.send(
                frame, user_id="sender", came_from=sender, received_at=events.now()
            )

        def connect() -> str:
            time.sleep(max(0, connecting))
            connection_id = backend.connect(recipient, since=str(events.now() - 1000))
            (event,) = [
                each
                for each in list(backend.wire.queue)
                if each["catchUp"]["connection_id"] == connection_id
            ]
            module.catch_up.run(modules["chat.catch_up_request"].CatchUpRequest.in_event(event))
            return connection_id

        with ThreadPoolExecutor(2) as both:
            sending, connected = both.submit(send), both.submit(connect)
            message_id: str = sending.result()["messageId"]
            connection_id = connected.result()
        deadline = time.monotonic() + IN_TIME_S
        while time.monotonic() < deadline:
            found = backend.api.messages(connection_id)
            if any(message["messageId"] == message_id for message in found):
                return None
            time.sleep(0.05)
        return message_id

    with ThreadPoolExecutor(TRIALS) as threads:
        missed = list(filter(None, threads.map(trial, range(TRIALS))))
    assert not missed
