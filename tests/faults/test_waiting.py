"""A crash after each call: a message that waits is announced at least once, and only if stored."""

import itertools

import pytest

from tests.support.backend import Backend, Container
from tests.support.network import (
    ANY,
    Fault,
    FaultAction,
    Killed,
    Network,
    answer_lost,
    failing,
    killed_after,
    killed_before,
    lost_on_its_way,
    throttled,
)
from tests.support.subscriber import Subscriber

CHAT = "user123#user456"
CALLS = ["GetItem", "TransactWriteItems", "BatchGetItem", "Publish"]
CRASHES: list[FaultAction] = [killed_before, killed_after]
# botocore tries again after these.
LATE: list[FaultAction] = [lost_on_its_way, answer_lost]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def functions(notifying_functions: dict[str, Container]) -> dict[str, Container]:
    return notifying_functions


@pytest.fixture
def sender(backend: Backend, subscriber: Subscriber) -> str:  # noqa: ARG001 -- it makes the topic
    connection_id = backend.connect("user123")
    backend.wire.calls.clear()
    return connection_id


def try_once(backend: Backend, sender: str, name: str = "c-1") -> bool:
    """Send the message; return whether it was acknowledged."""
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "Hello!", "clientMessageId": name}
    try:
        return bool(backend.send(sender, frame)["type"] == "ack")
    except Killed:
        return False
    finally:
        backend.wire.is_dead = False


def stored(backend: Backend, name: str = "c-1") -> set[str]:
    return {row["messageId"] for row in backend.chat(CHAT) if row["clientMessageId"] == name}


def announced(subscriber: Subscriber) -> set[str]:
    return {each["messageId"] for each in subscriber.received()}


def test_message_that_waits_makes_as_many_calls_as_these_tests_make_fail(
    backend: Backend, wire: Network, sender: str
) -> None:
    assert try_once(backend, sender)
    assert [each.partition(".")[2] for each in wire.calls] == CALLS


@pytest.mark.parametrize(
    ("call", "action"),
    [
        *itertools.product(range(len(CALLS)), [*CRASHES, *LATE]),
        *itertools.product(range(len(CALLS) - 1), [throttled, failing]),
    ],
)
def test_message_is_announced_once_it_is_acknowledged_whatever_call_fails(
    backend: Backend,
    wire: Network,
    sender: str,
    subscriber: Subscriber,
    call: int,
    action: FaultAction,
) -> None:
    fault = Fault(ANY, action, after=call, times=1)
    with wire.broken(fault):
        is_acknowledged = try_once(backend, sender)
    assert fault.times == 0
    before = announced(subscriber)
    assert before <= stored(backend)
    if is_acknowledged:
        assert before == stored(backend) != set()
    else:
        assert try_once(backend, sender)
        assert announced(subscriber) == stored(backend) != set()
    assert len(stored(backend)) == 1


@pytest.mark.parametrize("actions", list(itertools.product(CRASHES, repeat=2)))
def test_message_is_announced_after_two_crashes(
    backend: Backend,
    wire: Network,
    sender: str,
    subscriber: Subscriber,
    actions: tuple[FaultAction, FaultAction],
) -> None:
    for first, second in itertools.product(range(len(CALLS)), repeat=2):
        name = f"c-{first}-{second}"
        for action, call in zip(actions, (first, second), strict=True):
            with wire.broken(Fault(ANY, action, after=call, times=1)):
                try_once(backend, sender, name)
            assert announced(subscriber) <= stored(backend, name)
        assert try_once(backend, sender, name)
        assert announced(subscriber) == stored(backend, name) != set()
