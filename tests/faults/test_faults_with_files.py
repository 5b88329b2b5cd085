"""Something goes wrong at each AWS call of a message with a file; no file that it needs is lost."""

from typing import Any

import pytest

from tests.support.backend import Backend
from tests.support.exchange import Exchange
from tests.support.network import (
    ANY,
    Fault,
    FaultAction,
    Network,
    answer_lost,
    failing,
    killed_after,
    killed_before,
    lost_on_its_way,
)

pytestmark = pytest.mark.usefixtures("clock")

FAULT_ACTIONS = [killed_before, killed_after, failing, lost_on_its_way, answer_lost]
# As without a file, and: a look at it, and its tag.
CALLS = 11


class FileScene(Exchange):
    """A message with a file."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        frame = {
            "action": "sendfile",
            "chatId": self.chat_id,
            "fileName": "image.jpg",
            "contentType": "image/jpeg",
        }
        self.file_key = backend.upload(self.sender, frame)

    def frame(self, client_message_id: str) -> dict[str, Any]:
        return super().frame(client_message_id) | {"fileKey": self.file_key}

    def check_file(self) -> None:
        """Hold that S3 will not delete a file that a message refers to."""
        if self.rows():
            assert self._backend.tags_of(self.file_key) == {}


def test_file_makes_as_many_calls_as_these_tests_make_fail(backend: Backend, wire: Network) -> None:
    exchange = FileScene(backend)
    wire.calls.clear()
    exchange.try_once()
    assert len(wire.calls) == CALLS
    exchange.check()
    exchange.check_all_reached()


@pytest.mark.parametrize("action", FAULT_ACTIONS)
def test_message_never_outlives_its_file(
    backend: Backend, wire: Network, action: FaultAction
) -> None:
    for call in range(CALLS):
        exchange = FileScene(backend)
        with wire.broken(Fault(ANY, action, after=call, times=1)):
            exchange.try_once()
        exchange.check_file()
        exchange.persist()
        exchange.check()
        exchange.check_file()
        exchange.check_all_reached()


@pytest.mark.parametrize("action", [failing, lost_on_its_way, answer_lost])
def test_message_survives_faults_of_all_calls_from_any_one_on(
    backend: Backend, wire: Network, action: FaultAction
) -> None:
    for call in range(CALLS):
        exchange = FileScene(backend)
        with wire.broken(Fault(ANY, action, after=call)):
            exchange.try_once()
        exchange.check_file()
        exchange.persist()
        exchange.check()
        exchange.check_file()
