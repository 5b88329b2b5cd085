"""Something goes wrong at each single AWS call, and at each two; nothing acknowledged is lost."""

import itertools
import threading

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from tests.support import events
from tests.support.backend import Backend
from tests.support.clock import Clock
from tests.support.exchange import Exchange
from tests.support.network import (
    ANY,
    FAULT_ACTIONS,
    Fault,
    FaultAction,
    Network,
    Send,
    answer_lost,
    failing,
    killed_after,
    killed_before,
    lost_on_its_way,
    throttled,
)

pytestmark = pytest.mark.usefixtures("clock")

# Who sends, two look-ups, the transaction, four pushes, the dead one's row.
CALLS = 9


def test_message_makes_as_many_calls_as_these_tests_make_fail(
    backend: Backend, wire: Network
) -> None:
    exchange = Exchange(backend)
    wire.calls.clear()
    exchange.try_once()
    assert len(wire.calls) == CALLS
    exchange.check()
    exchange.check_all_reached()


@pytest.mark.parametrize("action", FAULT_ACTIONS)
@pytest.mark.parametrize("call", range(CALLS))
def test_message_survives_a_fault_of_any_call(
    backend: Backend, wire: Network, action: FaultAction, call: int
) -> None:
    exchange = Exchange(backend)
    fault = Fault(ANY, action, after=call, times=1)
    with wire.broken(fault):
        exchange.try_once()
    assert fault.times == 0
    exchange.persist()
    exchange.check()
    exchange.check_all_reached()


@pytest.mark.parametrize("action", [throttled, failing, lost_on_its_way, answer_lost])
@pytest.mark.parametrize("call", range(CALLS))
def test_message_survives_faults_of_all_calls_from_any_one_on(
    backend: Backend, wire: Network, action: FaultAction, call: int
) -> None:
    exchange = Exchange(backend)
    with wire.broken(Fault(ANY, action, after=call)):
        exchange.try_once()
    exchange.persist()
    exchange.check()
    exchange.check_all_reached()


@pytest.mark.slow
@pytest.mark.parametrize(
    "actions",
    [
        *itertools.product([killed_after, answer_lost], repeat=2),
        (throttled, killed_after),
        (killed_after, throttled),
    ],
    ids=lambda actions: " and ".join(action.__name__ for action in actions),
)
def test_message_survives_faults_of_any_two_calls(
    backend: Backend, wire: Network, actions: tuple[FaultAction, FaultAction]
) -> None:
    """The second may hit a resend: where the first one kills, the client comes again."""
    for first, second in itertools.combinations(range(CALLS), 2):
        exchange = Exchange(backend)
        with wire.broken(
            Fault(ANY, actions[0], after=first, times=1),
            Fault(ANY, actions[1], after=second - 1, times=1),
        ):
            exchange.try_once()
            exchange.try_once()
        exchange.persist()
        exchange.check()
        exchange.check_all_reached()


@pytest.mark.parametrize("action", FAULT_ACTIONS)
def test_ack_is_true_though_any_call_of_the_only_attempt_fails(
    backend: Backend, wire: Network, action: FaultAction
) -> None:
    """No client sends again: an ack must be true all the same, and each push be stored."""
    for call in range(CALLS):
        exchange = Exchange(backend)
        with wire.broken(Fault(ANY, action, after=call, times=1)):
            answer = exchange.try_once()
        stored = {row["messageId"] for row in exchange.rows()}
        if answer is not None and answer["type"] == "ack":
            assert stored == {answer["messageId"]}
        for connection_id in (exchange.tablet, exchange.phone, exchange.laptop):
            assert exchange.received(connection_id) <= stored


@pytest.mark.parametrize("action", [None, *FAULT_ACTIONS])
@pytest.mark.parametrize("call", range(CALLS))
def test_device_that_connects_before_a_call_gets_the_message_on_that_connection(
    backend: Backend, wire: Network, action: FaultAction | None, call: int
) -> None:
    """And its catch-up runs at once, before the sender goes on or tries again."""
    exchange = Exchange(backend)
    opened = []

    def connect(request: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        opened.append(backend.catch_up(exchange.second, since=0))
        return action(request, send) if action else send()

    with wire.broken(Fault(ANY, connect, after=call, times=1)):
        exchange.try_once()
    if not exchange.acks:  # otherwise a resend would hide that it got nothing
        exchange.persist()
    (newcomer,) = opened
    assert exchange.received(newcomer) == {row["messageId"] for row in exchange.rows()}
    exchange.check()


def test_message_reaches_all_devices_but_the_dead(backend: Backend) -> None:
    exchange = Exchange(backend)
    long_ago = events.now() - 60_000
    devices = [backend.connect(exchange.second, connected_at=long_ago) for _ in range(16)]
    dead, alive = set(devices[::2]), set(devices[1::2])
    backend.api.open -= dead
    exchange.try_once()
    exchange.check()
    for connection_id in alive:
        assert len(exchange.received(connection_id)) == 1
    assert not any(backend.knows(connection_id) for connection_id in {*dead, exchange.dead})


def test_slow_device_does_not_delay_the_others(backend: Backend) -> None:
    exchange = Exchange(backend)
    gate = threading.Event()
    backend.api.gates[exchange.phone] = gate
    sending = threading.Thread(target=exchange.try_once)
    sending.start()
    try:
        # The others have it while the slow one still has not.
        while not (exchange.received(exchange.laptop) and exchange.received(exchange.tablet)):
            assert sending.is_alive()
        assert not exchange.received(exchange.phone)
    finally:
        gate.set()
        sending.join()
    exchange.check()
    exchange.check_all_reached()


def test_event_that_arrives_twice_is_one_message(backend: Backend) -> None:
    exchange = Exchange(backend)
    event = events.message(
        exchange.sender,
        {
            "action": "sendmessage",
            "chatId": exchange.chat_id,
            "text": "x",
            "clientMessageId": "c-1",
        },
    )
    for _ in range(2):
        exchange.acks.append(backend.frame_of(backend.send_message(event)))
    assert [ack.get("duplicate") for ack in exchange.acks] == [None, True]
    exchange.check()


def test_resend_that_overtakes_the_first_attempt_is_one_message(backend: Backend) -> None:
    exchange = Exchange(backend)
    earlier = events.now()
    later = earlier + 5000
    exchange.try_once(at=later)
    exchange.try_once(at=earlier)
    assert {ack["timestamp"] for ack in exchange.acks} == {later}
    exchange.check()


def test_messages_that_overtake_each_other_keep_their_timestamps(backend: Backend) -> None:
    exchange = Exchange(backend)
    then = events.now()
    for number in (3, 1, 2):
        exchange.try_once(f"c-{number}", at=then + number)
    assert [row["text"] for row in exchange.rows()] == [f"text of c-{n}" for n in (1, 2, 3)]
    exchange.check(messages=3)


def test_catch_up_that_runs_twice_repeats_and_loses_nothing(
    backend: Backend, wire: Network, clock: Clock
) -> None:
    exchange = Exchange(backend)
    exchange.try_once()
    clock.sleep(2)  # until the index shows it
    back = backend.connect(exchange.second, since="0")
    wire.queue *= 2
    backend.run_queue()
    kinds = [frame["type"] for frame in backend.api.received(back)]
    assert kinds == ["messages", "synced"] * 2
    assert exchange.received(back) == exchange.received(exchange.phone)


def test_disconnect_event_before_the_connect_event_leaves_no_row(backend: Backend) -> None:
    """A client that vanishes during the handshake leaves a row; the next push removes it."""
    exchange = Exchange(backend)
    ghost = events.new_id()
    long_ago = events.now() - 60_000
    backend.on_disconnect(events.disconnect(ghost))
    backend.on_connect(events.connect(ghost, {"userId": exchange.second}, connected_at=long_ago))
    exchange.try_once()
    assert not backend.knows(ghost)
    exchange.check()


@pytest.mark.parametrize("action", [killed_before, killed_after, throttled, lost_on_its_way])
@pytest.mark.parametrize("call", range(4))
def test_catch_up_survives_a_fault_of_any_call(
    backend: Backend, wire: Network, action: FaultAction, call: int
) -> None:
    exchange = Exchange(backend)
    exchange.try_once("c-1")
    exchange.try_once("c-2")
    back = backend.connect(exchange.second, since="0")
    with wire.broken(Fault(ANY, action, after=call, times=1)):
        backend.run_queue()
    assert exchange.received(back) == {row["messageId"] for row in exchange.rows()}
    assert exchange.synced(back)["complete"]


@pytest.mark.parametrize("action", [killed_before, killed_after, throttled, lost_on_its_way])
@pytest.mark.parametrize("call", range(2))
def test_client_that_connects_again_after_a_fault_gets_everything(
    backend: Backend, wire: Network, action: FaultAction, call: int
) -> None:
    exchange = Exchange(backend)
    exchange.try_once()
    connected = False
    with wire.broken(Fault(ANY, action, after=call, times=1)):
        connected = backend.try_to_connect(exchange.second, since="0") is not None
    if not connected:
        assert backend.try_to_connect(exchange.second, since="0") is not None
    exchange.check()


@pytest.mark.parametrize("skew_ms", [-600_000, 600_000])
def test_clock_that_differs_from_api_gateways_loses_nothing(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, skew_ms: int
) -> None:
    """The container's clock is ten minutes off; a device is just opening, another is dead."""
    exchange = Exchange(backend)
    opening = backend.connect(exchange.second)
    backend.api.open.remove(opening)
    skewed = events.now() / 1000 + skew_ms / 1000
    for name in ("connections", "delivery", "catch_up"):
        module = backend.send_message.modules[f"chat.{name}"]
        if hasattr(module, "time"):
            monkeypatch.setattr(module.time, "time", lambda: skewed)
    exchange.try_once()
    assert backend.knows(opening)
    assert not backend.knows(exchange.dead)
    exchange.check()
    exchange.check_all_reached()
    since = exchange.acks[0]["timestamp"]
    synced = exchange.synced(backend.catch_up(exchange.second, since=since))
    exchange.try_once("c-2")
    assert exchange.acks[-1]["messageId"] in exchange.received(
        backend.catch_up(exchange.second, since=synced["until"])
    )


def test_message_with_an_earlier_time_than_a_stored_one_is_not_missed(backend: Backend) -> None:
    """A message gets a time that is a little before that of one which is there already."""
    exchange = Exchange(backend)
    then = events.now()
    exchange.try_once("c-1", at=then)
    back = backend.connect(exchange.second, connected_at=then + 1, since="0")
    backend.run_queue()
    synced = exchange.synced(back)
    backend.api.open -= {back, exchange.phone, exchange.laptop}
    exchange.try_once("c-2", at=then - 20_000)
    again = backend.catch_up(exchange.second, since=synced["until"])
    assert exchange.acks[-1]["messageId"] in exchange.received(again)
