"""Something goes wrong at each single AWS call, and at each two; nothing acknowledged is lost."""

import itertools
import threading

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from tests.support import events
from tests.support.backend import Backend
from tests.support.clock import Clock
from tests.support.network import (
    ANY,
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
from tests.support.scene import Scene

pytestmark = pytest.mark.usefixtures("clock")

FAULT_ACTIONS = [killed_before, killed_after, throttled, failing, lost_on_its_way, answer_lost]
# Who sends, two look-ups, the transaction, four pushes, the dead one's row.
CALLS = 9


def test_a_message_makes_as_many_calls_as_are_struck_here(backend: Backend, wire: Network) -> None:
    scene = Scene(backend)
    wire.calls.clear()
    scene.try_once()
    assert len(wire.calls) == CALLS
    scene.check()
    scene.check_all_reached()


@pytest.mark.parametrize("strike", FAULT_ACTIONS)
@pytest.mark.parametrize("call", range(CALLS))
def test_one_call_goes_wrong(
    backend: Backend, wire: Network, strike: FaultAction, call: int
) -> None:
    scene = Scene(backend)
    fault = Fault(ANY, strike, after=call, times=1)
    with wire.broken(fault):
        scene.try_once()
    assert fault.times == 0
    scene.persist()
    scene.check()
    scene.check_all_reached()


@pytest.mark.parametrize("strike", [throttled, failing, lost_on_its_way, answer_lost])
@pytest.mark.parametrize("call", range(CALLS))
def test_all_calls_from_one_on_go_wrong(
    backend: Backend, wire: Network, strike: FaultAction, call: int
) -> None:
    scene = Scene(backend)
    with wire.broken(Fault(ANY, strike, after=call)):
        scene.try_once()
    scene.persist()
    scene.check()
    scene.check_all_reached()


@pytest.mark.parametrize(
    "strikes",
    [
        *itertools.product([killed_after, answer_lost], repeat=2),
        (throttled, killed_after),
        (killed_after, throttled),
    ],
    ids=lambda strikes: " and ".join(strike.__name__ for strike in strikes),
)
def test_two_calls_go_wrong(
    backend: Backend, wire: Network, strikes: tuple[FaultAction, FaultAction]
) -> None:
    """The second may strike a resend: where the first one kills, the client comes again."""
    for first, second in itertools.combinations(range(CALLS), 2):
        scene = Scene(backend)
        with wire.broken(
            Fault(ANY, strikes[0], after=first, times=1),
            Fault(ANY, strikes[1], after=second - 1, times=1),
        ):
            scene.try_once()
            scene.try_once()
        scene.persist()
        scene.check()
        scene.check_all_reached()


@pytest.mark.parametrize("strike", FAULT_ACTIONS)
def test_the_only_attempt_goes_wrong_at_any_call(
    backend: Backend, wire: Network, strike: FaultAction
) -> None:
    """Nobody sends again: an ack must be true all the same, and no push may be of nothing."""
    for call in range(CALLS):
        scene = Scene(backend)
        with wire.broken(Fault(ANY, strike, after=call, times=1)):
            answer = scene.try_once()
        stored = {row["messageId"] for row in scene.rows()}
        if answer is not None and answer["type"] == "ack":
            assert stored == {answer["messageId"]}
        for connection_id in (scene.tablet, scene.phone, scene.laptop):
            assert scene.received(connection_id) <= stored


@pytest.mark.parametrize("strike", [None, *FAULT_ACTIONS])
@pytest.mark.parametrize("call", range(CALLS))
def test_device_that_connects_before_a_call_gets_the_message_on_that_connection(
    backend: Backend, wire: Network, strike: FaultAction | None, call: int
) -> None:
    """And its catch-up runs at once, before the sender goes on or tries again."""
    scene = Scene(backend)
    opened = []

    def connect(request: AWSPreparedRequest, carry: Send) -> AWSResponse | None:
        opened.append(backend.catch_up(scene.second, since=0))
        return strike(request, carry) if strike else carry()

    with wire.broken(Fault(ANY, connect, after=call, times=1)):
        scene.try_once()
    if not scene.acks:  # otherwise a resend would hide that it got nothing
        scene.persist()
    (newcomer,) = opened
    assert scene.received(newcomer) == {row["messageId"] for row in scene.rows()}
    scene.check()


def test_some_of_many_devices_are_dead(backend: Backend) -> None:
    scene = Scene(backend)
    long_ago = events.now() - 60_000
    devices = [backend.connect(scene.second, connected_at=long_ago) for _ in range(16)]
    dead, alive = set(devices[::2]), set(devices[1::2])
    backend.api.open -= dead
    scene.try_once()
    scene.check()
    for connection_id in alive:
        assert len(scene.received(connection_id)) == 1
    assert not any(backend.knows(connection_id) for connection_id in {*dead, scene.dead})


def test_a_slow_device_does_not_hold_up_the_others(backend: Backend) -> None:
    scene = Scene(backend)
    gate = threading.Event()
    backend.api.gates[scene.phone] = gate
    sending = threading.Thread(target=scene.try_once)
    sending.start()
    try:
        # The others have it while the slow one still has not.
        while not (scene.received(scene.laptop) and scene.received(scene.tablet)):
            assert sending.is_alive()
        assert not scene.received(scene.phone)
    finally:
        gate.set()
        sending.join()
    scene.check()
    scene.check_all_reached()


def test_one_event_that_comes_twice_is_one_message(backend: Backend) -> None:
    scene = Scene(backend)
    event = events.message(
        scene.sender,
        {
            "action": "sendmessage",
            "chatId": scene.chat_id,
            "text": "x",
            "clientMessageId": "c-1",
        },
    )
    for _ in range(2):
        scene.acks.append(backend.frame_of(backend.send_message(event)))
    assert [ack.get("duplicate") for ack in scene.acks] == [None, True]
    scene.check()


def test_a_resend_may_overtake_the_first(backend: Backend) -> None:
    scene = Scene(backend)
    earlier = events.now()
    later = earlier + 5000
    scene.try_once(at=later)
    scene.try_once(at=earlier)
    assert {ack["timestamp"] for ack in scene.acks} == {later}
    scene.check()


def test_messages_may_overtake_each_other(backend: Backend) -> None:
    scene = Scene(backend)
    then = events.now()
    for number in (3, 1, 2):
        scene.try_once(f"c-{number}", at=then + number)
    assert [row["text"] for row in scene.rows()] == [f"text of c-{n}" for n in (1, 2, 3)]
    scene.check(messages=3)


def test_a_replay_that_comes_twice_repeats_and_loses_nothing(
    backend: Backend, wire: Network, clock: Clock
) -> None:
    scene = Scene(backend)
    scene.try_once()
    clock.sleep(2)  # until the index shows it
    back = backend.connect(scene.second, since="0")
    wire.queue *= 2
    backend.run_queue()
    kinds = [frame["type"] for frame in backend.api.received(back)]
    assert kinds == ["messages", "synced"] * 2
    assert scene.received(back) == scene.received(scene.phone)


def test_an_end_may_be_told_before_the_beginning(backend: Backend) -> None:
    """A client that vanishes during the handshake leaves a row; the next push removes it."""
    scene = Scene(backend)
    ghost = events.new_id()
    long_ago = events.now() - 60_000
    backend.on_disconnect(events.disconnect(ghost))
    backend.on_connect(events.connect(ghost, {"userId": scene.second}, connected_at=long_ago))
    scene.try_once()
    assert not backend.knows(ghost)
    scene.check()


@pytest.mark.parametrize("strike", [killed_before, killed_after, throttled, lost_on_its_way])
@pytest.mark.parametrize("call", range(4))
def test_a_replay_goes_wrong_and_is_run_again(
    backend: Backend, wire: Network, strike: FaultAction, call: int
) -> None:
    scene = Scene(backend)
    scene.try_once("c-1")
    scene.try_once("c-2")
    back = backend.connect(scene.second, since="0")
    with wire.broken(Fault(ANY, strike, after=call, times=1)):
        backend.run_queue()
    assert scene.received(back) == {row["messageId"] for row in scene.rows()}
    assert scene.synced(back)["complete"]


@pytest.mark.parametrize("strike", [killed_before, killed_after, throttled, lost_on_its_way])
@pytest.mark.parametrize("call", range(2))
def test_connecting_goes_wrong_and_the_client_connects_again(
    backend: Backend, wire: Network, strike: FaultAction, call: int
) -> None:
    scene = Scene(backend)
    scene.try_once()
    connected = False
    with wire.broken(Fault(ANY, strike, after=call, times=1)):
        connected = backend.try_to_connect(scene.second, since="0") is not None
    if not connected:
        assert backend.try_to_connect(scene.second, since="0") is not None
    scene.check()


@pytest.mark.parametrize("skew_ms", [-600_000, 600_000])
def test_our_clock_and_api_gateways_disagree(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, skew_ms: int
) -> None:
    """The container's clock is ten minutes off; a device is just opening, another is dead."""
    scene = Scene(backend)
    opening = backend.connect(scene.second)
    backend.api.open.remove(opening)
    skewed = events.now() / 1000 + skew_ms / 1000
    for name in ("connections", "delivery", "catch_up"):
        module = backend.send_message.modules[f"chat.{name}"]
        if hasattr(module, "time"):
            monkeypatch.setattr(module.time, "time", lambda: skewed)
    scene.try_once()
    assert backend.knows(opening)
    assert not backend.knows(scene.dead)
    scene.check()
    scene.check_all_reached()
    since = scene.acks[0]["timestamp"]
    synced = scene.synced(backend.catch_up(scene.second, since=since))
    scene.try_once("c-2")
    assert scene.acks[-1]["messageId"] in scene.received(
        backend.catch_up(scene.second, since=synced["until"])
    )


def test_api_gateways_own_clocks_disagree(backend: Backend) -> None:
    """A message gets a time that is a little before that of one which is there already."""
    scene = Scene(backend)
    then = events.now()
    scene.try_once("c-1", at=then)
    back = backend.connect(scene.second, connected_at=then + 1, since="0")
    backend.run_queue()
    synced = scene.synced(back)
    backend.api.open -= {back, scene.phone, scene.laptop}
    scene.try_once("c-2", at=then - 20_000)
    again = backend.catch_up(scene.second, since=synced["until"])
    assert scene.acks[-1]["messageId"] in scene.received(again)
