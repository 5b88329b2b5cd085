"""Random users, devices, connects, drops, sends, resends and faults, against a model."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.support import events
from tests.support.backend import Backend
from tests.support.clock import Clock
from tests.support.network import ANY, FAULT_ACTIONS, Fault, Killed

USERS = ("ann", "bob", "cem")
# How late a message may be stored after it was received: an integration runs up to 29 s.
LATEST_MS = 29_000
INDEX_LAG_S = 1.9
MAX_WRITE_S = 0.8
# A replay in the model ends after so many messages, so that clients must go on.
MAX_MESSAGES = 4

faults = st.none() | st.builds(
    Fault,
    operation=st.just(ANY),
    action=st.sampled_from(FAULT_ACTIONS),
    after=st.integers(0, 10),
    times=st.sampled_from([1, 2, 100]),
)


@dataclass
class Device:
    """What one client keeps, connected or not.

    Attributes:
        cursor: The greatest `until` of a `synced`: where its next catch-up begins.
        seen: The messages that reached it.
        disturbed: Whether a fault has happened since it connected.
        complete: Whether the last catch-up on its connection was one to the end.
    """

    user: str
    cursor: int = 0
    connection_id: str | None = None
    frames_read: int = 0
    seen: set[str] = field(default_factory=set)
    disturbed: bool = False
    complete: bool = False


@dataclass(frozen=True)
class Outgoing:
    """A message that a client wants to send, acknowledged or not."""

    sender: str
    recipient: str
    client_message_id: str


class Chat(RuleBasedStateMachine):
    """The handlers, driven as clients and API Gateway would."""

    devices = Bundle("devices")
    outgoing = Bundle("outgoing")

    def __init__(self, backend: Backend, clock: Clock) -> None:
        super().__init__()
        self.backend = backend
        self.functions_clock = clock
        self.unique = uuid4().hex
        self.clock = events.now()
        self.all_devices: list[Device] = []
        self.all_outgoing: list[Outgoing] = []
        self.acks: dict[Outgoing, dict[str, Any]] = {}

    @initialize(
        target=devices,
        index_lag_s=st.sampled_from([0, INDEX_LAG_S / 4, INDEX_LAG_S]),
        write_s=st.sampled_from([0, MAX_WRITE_S]),
    )
    def everyone_has_a_device(self, index_lag_s: float, write_s: float) -> Any:
        self.backend.wire.index_lag_s, self.backend.wire.write_s = index_lag_s, write_s
        self.all_devices = [Device(user) for user in USERS]
        for device in self.all_devices:
            self.open(device)
        return multiple(*self.all_devices)

    @rule(target=devices, user=st.sampled_from(USERS))
    def buy_a_device(self, user: str) -> Device:
        device = Device(user)
        self.all_devices.append(device)
        return device

    @rule(device=devices, fault=faults)
    def connect(self, device: Device, fault: Fault | None) -> None:
        self.leave(device)
        with self.broken(fault):
            self.open(device)

    @rule(device=devices, sender=devices, catching_up=st.booleans())
    def connect_while_somebody_sends(
        self, device: Device, sender: Device, catching_up: bool
    ) -> None:
        """The write, the handshake and the catch-up go on together."""
        self.leave(device)
        if sender.user == device.user or not sender.connection_id:
            return
        message = Outgoing(sender.user, device.user, f"c-{len(self.acks)}-{uuid4().hex}")
        self.all_outgoing.append(message)
        with ThreadPoolExecutor(1) as meanwhile:
            sending = meanwhile.submit(self.send, sender, message, 0, None)
            self.open(device)
            if catching_up:
                self.run_queue()
            sending.result()

    @rule(device=devices, fault=faults)
    def ask_what_was_missed(self, device: Device, fault: Fault | None) -> None:
        """Catch up on an open connection, as clients do now and then."""
        with self.broken(fault):
            self.ask(device)

    @rule(device=devices)
    def leave(self, device: Device) -> None:
        """Vanish without a word: $disconnect is best effort."""
        self.read(device)
        if device.connection_id:
            self.backend.api.open.discard(device.connection_id)
        device.connection_id = None

    @rule(fault=faults)
    def replay(self, fault: Fault | None) -> None:
        """Run what is queued; after three attempts Lambda drops it."""
        with self.broken(fault):
            self.run_queue()

    @rule(
        target=outgoing,
        sender=devices,
        recipient=st.sampled_from(USERS),
        late_ms=st.integers(0, LATEST_MS),
        fault=faults,
    )
    def say(self, sender: Device, recipient: str, late_ms: int, fault: Fault | None) -> Any:
        if recipient == sender.user:
            return multiple()
        message = Outgoing(sender.user, recipient, f"c-{len(self.all_outgoing)}")
        self.all_outgoing.append(message)
        self.send(sender, message, late_ms, fault)
        return message

    @rule(message=outgoing, sender=devices, late_ms=st.integers(0, LATEST_MS), fault=faults)
    def say_again(
        self, message: Outgoing, sender: Device, late_ms: int, fault: Fault | None
    ) -> None:
        if sender.user == message.sender:
            self.send(sender, message, late_ms, fault)

    @rule(message=consumes(outgoing))
    def give_up(self, message: Outgoing) -> None:
        """Never send that one again, acknowledged or not."""
        self.all_outgoing.remove(message)

    @rule(passing_ms=st.integers(0, 90_000))
    def time_passes(self, passing_ms: int) -> None:
        self.clock += passing_ms
        self.functions_clock.sleep(passing_ms / 1000)

    @contextmanager
    def broken(self, fault: Fault | None) -> Iterator[None]:
        """Let something go wrong; it may have kept a push from any device that is connected."""
        if fault is None:
            yield
            return
        times = fault.times
        with self.backend.wire.broken(fault):
            yield
        if fault.times < times:
            for device in self.all_devices:
                device.disturbed = True

    def run_queue(self) -> None:
        while self.backend.wire.queue:
            try:
                self.backend.run_queue()
            except (Exception, Killed):  # noqa: BLE001 -- Lambda gives up, whatever it was
                self.backend.wire.is_dead = False

    def name(self, user: str) -> str:
        return f"{user}-{self.unique}"

    def chat_id(self, *users: str) -> str:
        return "#".join(sorted(map(self.name, users)))

    def open(self, device: Device) -> None:
        self.clock += 1
        device.frames_read = 0
        device.disturbed = device.complete = False
        device.connection_id = self.backend.try_to_connect(
            self.name(device.user), connected_at=self.clock, since=str(device.cursor)
        )

    def send(self, device: Device, message: Outgoing, late_ms: int, fault: Fault | None) -> None:
        if not device.connection_id:
            return
        self.clock += 1
        frame = {
            "action": "sendmessage",
            "chatId": self.chat_id(message.sender, message.recipient),
            "text": message.client_message_id,
            "clientMessageId": message.client_message_id,
        }
        answer = None
        with self.broken(fault):
            try:
                answer = self.backend.send(device.connection_id, frame, at=self.clock - late_ms)
            except Killed:
                self.backend.wire.is_dead = False
        if answer and answer["type"] == "ack":
            first = self.acks.setdefault(message, answer)
            assert answer["messageId"] == first["messageId"]
            assert answer["timestamp"] == first["timestamp"]
        elif answer:
            assert answer["code"] == "unavailable", answer

    def ask(self, device: Device) -> bool:
        """Send ``getmessages``; return whether the answer is that nothing more is missed."""
        self.read(device)
        if device.connection_id not in self.backend.api.open:
            return True
        self.clock += 1
        frame = {"action": "getmessages", "since": device.cursor}
        try:
            answer = self.backend.send(device.connection_id, frame, at=self.clock)
        except Killed:
            self.backend.wire.is_dead = False
            return False
        if answer["type"] == "error":
            assert answer["code"] in {"unavailable", "internal"}, answer
            return False
        self.read(device)
        assert answer["until"] <= self.clock
        device.cursor = max(device.cursor, answer["until"])
        return bool(answer["complete"])

    def read(self, device: Device) -> None:
        """Take in what has arrived, as a client does: dedupe, and keep `until`."""
        if device.connection_id is None:
            return
        frames = self.backend.api.received(device.connection_id)[device.frames_read :]
        device.frames_read += len(frames)
        for frame in frames:
            if frame["type"] == "message":
                device.seen.add(frame["messageId"])
            elif frame["type"] == "messages":
                device.seen.update(message["messageId"] for message in frame["messages"])
            else:
                # A handshake's may come after the answer to a later question.
                device.cursor = max(device.cursor, frame["until"])
                device.complete = frame["complete"]

    def teardown(self) -> None:
        """Nothing goes wrong any more: what does everyone end up with?"""
        self.run_queue()
        self.check_the_connected()
        self.check_those_that_asked()
        for message in self.all_outgoing:
            device = Device(message.sender)
            self.open(device)
            self.send(device, message, 0, None)
            assert message in self.acks
        self.run_queue()
        for device in self.all_devices:
            self.catch_up_to_the_end(device)
        stored = {user: self.stored_for(user) for user in USERS}
        for device in self.all_devices:
            own_devices_of = stored[device.user] | self.sent_by(device.user)
            assert stored[device.user] <= device.seen <= own_devices_of
        acknowledged = {ack["messageId"] for ack in self.acks.values()}
        assert acknowledged <= set().union(*stored.values())
        assert len(acknowledged) == len(self.acks)

    def check_the_connected(self) -> None:
        """Connected means current: without another connection, where no fault happened since."""
        for device in self.all_devices:
            self.read(device)
            is_open = device.connection_id in self.backend.api.open
            if is_open and device.complete and not device.disturbed:
                assert {
                    answer["messageId"]
                    for message, answer in self.acks.items()
                    if message.recipient == device.user
                } <= device.seen

    def check_those_that_asked(self) -> None:
        """Connected means current at the next ``getmessages``, whatever fault happened before."""
        self.functions_clock.sleep(INDEX_LAG_S)
        for device in self.all_devices:
            if device.connection_id not in self.backend.api.open:
                continue
            for _ in range(200):
                # More messages within the overlap than a run pushes wait until it has passed.
                self.clock += 1000
                if self.ask(device):
                    break
            else:
                raise AssertionError("a catch-up that never ends")
            assert self.stored_for(device.user) <= device.seen

    def catch_up_to_the_end(self, device: Device) -> None:
        for _ in range(200):
            self.leave(device)
            self.clock += 1000
            self.open(device)
            self.backend.run_queue()
            assert device.connection_id is not None
            # What the index showed late comes after it.
            *_, synced = (
                frame
                for frame in self.backend.api.received(device.connection_id)
                if frame["type"] == "synced"
            )
            self.read(device)
            if synced["complete"]:
                return
        raise AssertionError("a catch-up that never ends")

    def rows(self, *users: str) -> list[dict[str, Any]]:
        return self.backend.chat(self.chat_id(*users))

    def stored_for(self, user: str) -> set[str]:
        return {
            row["messageId"]
            for other in USERS
            if other != user
            for row in self.rows(user, other)
            if row["recipientId"] == self.name(user)
        }

    def sent_by(self, user: str) -> set[str]:
        return {
            row["messageId"]
            for other in USERS
            if other != user
            for row in self.rows(user, other)
            if row["senderId"] == self.name(user)
        }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_user_ends_up_with_all_messages_to_them(backend: Backend, clock: Clock) -> None:
    """Takes over ten seconds: it is a search, through some 700 steps."""

    class OnThisBackend(Chat):
        def __init__(self) -> None:
            super().__init__(backend, clock)

    module = backend.send_message.module
    usual = module.catch_up
    module.catch_up = type(usual)(
        module.connections,
        module.messages,
        module.files,
        module.push,
        max_messages=MAX_MESSAGES,
    )
    try:
        run_state_machine_as_test(
            OnThisBackend,
            settings=settings(
                max_examples=25,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        module.catch_up = usual
