"""``sendmessage`` with ``received``, ``read`` or ``typing``: receipts, and who is typing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import events
from tests.support.backend import Backend, Logs
from tests.support.network import ANY, FAULT_ACTIONS, Fault, FaultAction, Killed, Network

CHAT = "user123#user456"
THEN = 1764000000000


def signal(backend: Backend, connection_id: str, **fields: Any) -> dict[str, Any]:
    at = fields.pop("at", None)
    frame = {"action": "sendmessage", "chatId": CHAT, **fields}
    return backend.send(connection_id, frame, at=at)


def error_of(backend: Backend, connection_id: str, **fields: Any) -> tuple[int, str]:
    reply = backend.reply_to(connection_id, {"action": "sendmessage", "chatId": CHAT, **fields})
    error = backend.frame_of(reply)
    assert (error["type"], error["action"]) == ("error", "sendmessage")
    return reply["statusCode"], error["code"]


def receipts_in_history(backend: Backend, connection_id: str) -> dict[str, Any]:
    page = backend.send(connection_id, {"action": "getmessages", "chatId": CHAT})
    found: dict[str, Any] = page["receipts"]
    return found


def signals_to(backend: Backend, connection_id: str) -> list[dict[str, Any]]:
    """List the receipts and the typing that reached a connection."""
    frames = backend.api.received(connection_id)
    return [frame for frame in frames if frame["type"] in {"receipt", "typing"}]


@pytest.fixture
def sender(backend: Backend) -> str:
    """A connection of user123, who has sent user456 three messages."""
    connection_id = backend.connect("user123")
    for number in range(3):
        backend.say(connection_id, CHAT, str(number), at=THEN + number)
    return connection_id


# --- Receipts -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sender")
def test_log_says_which_signal_was_sent_and_whether_it_was_pushed(
    backend: Backend, logs: Logs
) -> None:
    phone = backend.connect("user456")
    logs()
    for fields in ({"received": THEN}, {"received": THEN}, {"typing": True}):
        signal(backend, phone, **fields)
    sent = [line for line in logs() if line.get("message") == "signal sent"]
    assert [(line["is_receipt"], line["is_pushed"]) for line in sent] == [
        (True, True),
        (True, False),
        (False, True),
    ]


def test_receipt_is_stored_pushed_and_acknowledged(backend: Backend, sender: str) -> None:
    phone, laptop = backend.connect("user456"), backend.connect("user456")
    assert signal(backend, phone, received=THEN + 1) == {
        "type": "ack",
        "action": "sendmessage",
        "chatId": CHAT,
        "received": THEN + 1,
    }
    receipt = {"type": "receipt", "chatId": CHAT, "userId": "user456", "received": THEN + 1}
    assert signals_to(backend, sender) == signals_to(backend, laptop) == [receipt]
    assert signals_to(backend, phone) == []
    (row,) = backend.chat(f"{CHAT}#user456")
    assert row == {"chatId": f"{CHAT}#user456", "timestamp": 0, "received": THEN + 1}


def test_what_was_read_was_received(backend: Backend, sender: str) -> None:
    reader = backend.connect("user456")
    signal(backend, reader, received=THEN)
    assert signal(backend, reader, read=THEN + 2)["read"] == THEN + 2
    first, second = signals_to(backend, sender)
    assert (first["received"], "read" in first) == (THEN, False)
    assert (second["received"], second["read"]) == (THEN + 2, THEN + 2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"received": THEN + 1}, {"received": THEN + 1}),
        ({"received": THEN + 1}, {"received": THEN}),
        ({"read": THEN + 1}, {"read": THEN + 1}),
        ({"read": THEN + 1}, {"read": THEN}),
        ({"read": THEN + 1}, {"received": THEN + 1}),
        ({"read": THEN + 1}, {"received": THEN}),
    ],
    ids=str,
)
def test_receipt_that_changes_nothing_is_acknowledged_and_not_pushed(
    backend: Backend, sender: str, before: dict[str, int], after: dict[str, int]
) -> None:
    reader = backend.connect("user456")
    signal(backend, reader, **before)
    receipts = receipts_in_history(backend, reader)
    ack = signal(backend, reader, **after)
    assert ack == {"type": "ack", "action": "sendmessage", "chatId": CHAT, **after}
    assert receipts_in_history(backend, reader) == receipts
    assert len(signals_to(backend, sender)) == 1


def test_receipt_moves_forward_after_another_kind(backend: Backend, sender: str) -> None:
    reader = backend.connect("user456")
    signal(backend, reader, read=THEN)
    signal(backend, reader, received=THEN + 2)
    assert signals_to(backend, sender)[-1] == {
        "type": "receipt",
        "chatId": CHAT,
        "userId": "user456",
        "received": THEN + 2,
        "read": THEN,
    }


def test_history_has_the_receipts_of_both_users(backend: Backend, sender: str) -> None:
    reader = backend.connect("user456")
    assert receipts_in_history(backend, reader) == {}
    signal(backend, reader, read=THEN + 2)
    backend.say(reader, CHAT, "answer", at=THEN + 3)
    signal(backend, sender, received=THEN + 3)
    expected = {
        "user123": {"received": THEN + 3},
        "user456": {"received": THEN + 2, "read": THEN + 2},
    }
    assert receipts_in_history(backend, reader) == expected
    assert receipts_in_history(backend, sender) == expected


def test_receipt_is_never_taken_for_a_message(backend: Backend, sender: str) -> None:
    reader = backend.connect("user456")
    signal(backend, reader, read=THEN + 2)
    signal(backend, sender, received=THEN)
    page = backend.send(reader, {"action": "getmessages", "chatId": CHAT})
    assert len(page["messages"]) == 3
    assert len(backend.api.messages(backend.catch_up("user456", since=0))) == 3
    assert len(backend.api.messages(backend.catch_up("user123", since=0))) == 0


def test_receipt_takes_four_calls_and_one_write(
    backend: Backend, wire: Network, sender: str
) -> None:
    reader = backend.connect("user456")
    signal(backend, reader, received=THEN)
    wire.calls.clear()
    signal(backend, reader, received=THEN + 1)
    assert wire.calls == [
        "dynamodb.Query",
        "dynamodb.UpdateItem",
        "dynamodb.BatchGetItem",
        "apigatewaymanagementapi.PostToConnection",
    ]
    assert sender


# --- A receipt never claims what was not sent -----------------------------------------------------


@pytest.mark.parametrize("kind", ["received", "read"])
def test_receipt_reaches_to_the_newest_message_and_not_further(
    backend: Backend, sender: str, kind: str
) -> None:
    """A message that is stored later may have a time between the two."""
    reader = backend.connect("user456")
    ack = signal(backend, reader, **{kind: THEN + 100}, at=THEN + 200)
    assert ack[kind] == THEN + 100
    assert receipts_in_history(backend, reader)["user456"][kind] == THEN + 2
    backend.say(sender, CHAT, "stored late", at=THEN + 50)
    assert receipts_in_history(backend, reader)["user456"][kind] < THEN + 50


@pytest.mark.parametrize("kind", ["received", "read"])
def test_receipt_later_than_now_is_refused(backend: Backend, sender: str, kind: str) -> None:
    reader = backend.connect("user456")
    reply = backend.reply_to(
        reader,
        {"action": "sendmessage", "chatId": CHAT, kind: THEN + 101},
        at=THEN + 100,
    )
    assert backend.frame_of(reply)["code"] == "invalid_request"
    assert receipts_in_history(backend, reader) == {}
    assert signals_to(backend, sender) == []


def test_receipt_of_a_message_with_a_time_ahead_of_now_is_stored(
    backend: Backend, sender: str
) -> None:
    """Clocks of API Gateway may differ, and messages that clash jump ahead."""
    reader = backend.connect("user456")
    newest = backend.say(sender, CHAT, "ahead", at=THEN + 5_000)["timestamp"]
    assert signal(backend, reader, read=newest, at=THEN + 4_000)["read"] == newest
    assert receipts_in_history(backend, reader)["user456"]["read"] == newest


# --- Typing ---------------------------------------------------------------------------------------


def test_typing_is_pushed_and_never_written(backend: Backend, wire: Network, sender: str) -> None:
    phone, laptop = backend.connect("user456"), backend.connect("user456")
    rows = backend.messages()
    wire.calls.clear()
    assert signal(backend, phone, typing=True) == {
        "type": "ack",
        "action": "sendmessage",
        "chatId": CHAT,
        "typing": True,
    }
    frame = {"type": "typing", "chatId": CHAT, "userId": "user456"}
    assert signals_to(backend, sender) == signals_to(backend, laptop) == [frame]
    assert signals_to(backend, phone) == []
    assert backend.messages() == rows
    assert not {"dynamodb.PutItem", "dynamodb.UpdateItem"} & set(wire.calls)


def test_warm_container_reads_once_whether_a_chat_has_a_message(
    backend: Backend, wire: Network, sender: str
) -> None:
    signal(backend, sender, typing=True)
    wire.calls.clear()
    signal(backend, sender, typing=True)
    assert wire.calls == ["dynamodb.BatchGetItem"]


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"received": -1},
        {"received": 1.5},
        {"received": "1"},
        {"received": True},
        {"received": 10**16},
        {"received": None},
        {"read": -1},
        {"read": 0.5},
        {"read": [1]},
        {"typing": False},
        {"typing": 1},
        {"typing": "true"},
        {"typing": None},
        {"received": THEN, "read": THEN},
        {"received": THEN, "typing": True},
        {"read": THEN, "text": "x"},
        {"received": THEN, "fileKey": f"{CHAT}/x"},
        {"typing": True, "text": "x"},
    ],
    ids=str,
)
def test_signal_that_is_not_of_the_agreed_form_is_refused(
    backend: Backend, wire: Network, sender: str, fields: dict[str, Any]
) -> None:
    reader = backend.connect("user456")
    messages = backend.messages()
    wire.calls.clear()
    assert error_of(backend, reader, **fields) == (400, "invalid_request")
    assert signals_to(backend, sender) == []
    assert not {"dynamodb.PutItem", "dynamodb.UpdateItem"} & set(wire.calls)
    assert backend.messages() == messages


@pytest.mark.parametrize("fields", [{"received": THEN}, {"read": THEN}, {"typing": True}], ids=str)
def test_signal_of_a_user_outside_the_chat_is_refused(
    backend: Backend, sender: str, fields: dict[str, Any]
) -> None:
    stranger = backend.connect("user789")
    assert error_of(backend, stranger, **fields) == (403, "forbidden")
    assert signals_to(backend, sender) == []


@pytest.mark.parametrize("fields", [{"received": 0}, {"read": 0}, {"typing": True}], ids=str)
def test_signal_reaches_nobody_where_no_message_was_ever_sent(
    backend: Backend, wire: Network, fields: dict[str, Any]
) -> None:
    user_id = f"v{events.new_id()}"
    here, there = backend.connect(user_id), backend.connect("user456")
    chat_id = f"user456#{user_id}"
    wire.calls.clear()
    assert error_of(backend, here, chatId=chat_id, **fields) == (403, "forbidden")
    assert signals_to(backend, there) == []
    reads = [call for call in wire.calls if call != "dynamodb.GetItem"]  # of the connection's user
    assert reads == ["dynamodb.Query"]
    backend.say(there, chat_id, "hello")
    assert signal(backend, here, chatId=chat_id, **fields)["type"] == "ack"


# --- Faults, resends and races --------------------------------------------------------------------


@pytest.mark.parametrize("action", FAULT_ACTIONS)
@pytest.mark.parametrize("call", range(5))
def test_receipt_that_fails_at_any_call_is_stored_by_a_resend(
    backend: Backend, wire: Network, sender: str, action: FaultAction, call: int
) -> None:
    reader = backend.connect("user456")
    signal(backend, reader, received=THEN)
    backend.send_message.module.connections._cached.cache_clear()
    with wire.broken(Fault(ANY, action, after=call, times=1)):
        try:
            answer = signal(backend, reader, read=THEN + 1)
            assert answer["type"] == "ack" or answer["code"] in {"unavailable", "internal"}
        except Killed:
            wire.is_dead = False
    between = receipts_in_history(backend, reader)["user456"]
    assert between in ({"received": THEN}, {"received": THEN + 1, "read": THEN + 1})
    assert signal(backend, reader, read=THEN + 1)["type"] == "ack"
    expected = {"received": THEN + 1, "read": THEN + 1}
    assert receipts_in_history(backend, reader)["user456"] == expected
    for frame in signals_to(backend, sender):
        assert frame["received"] <= THEN + 1
    assert backend.knows(sender)


moves = st.lists(
    st.tuples(st.sampled_from(["received", "read"]), st.integers(0, 5)), min_size=1, max_size=8
)


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(moves=moves, in_parallel=st.booleans())
def test_receipts_never_move_back_in_whatever_order_devices_send_them(
    backend: Backend, moves: list[tuple[str, int]], in_parallel: bool
) -> None:
    partner, user = "user123", f"v{events.new_id()}"
    chat_id = f"{partner}#{user}"
    sender = backend.connect(partner)
    for number in range(5):
        backend.say(sender, chat_id, "x", at=THEN + number)
    devices = [backend.connect(user) for _ in range(2)]

    def move(numbered: tuple[int, tuple[str, int]]) -> None:
        number, (kind, after) = numbered
        frame = {"action": "sendmessage", "chatId": chat_id, kind: THEN + after}
        assert backend.send(devices[number % 2], frame)["type"] == "ack"

    with ThreadPoolExecutor(len(moves) if in_parallel else 1) as threads:
        list(threads.map(move, enumerate(moves)))
    page = backend.send(sender, {"action": "getmessages", "chatId": chat_id})
    newest = THEN + 4
    read = [min(THEN + after, newest) for kind, after in moves if kind == "read"]
    every = [min(THEN + after, newest) for _, after in moves]
    expected = {"received": max(every)} | ({"read": max(read)} if read else {})
    assert page["receipts"] == {user: expected}
    pushed = signals_to(backend, sender)
    for frame in pushed:
        assert frame["received"] >= frame.get("read", 0)
    if not in_parallel:
        values = [(frame["received"], frame.get("read", 0)) for frame in pushed]
        assert values == sorted(values)
    assert max(frame["received"] for frame in pushed) == expected["received"]


def test_receipt_whose_push_fails_is_in_the_history(backend: Backend, sender: str) -> None:
    reader = backend.connect("user456")
    backend.api.broken[sender] = 500
    assert signal(backend, reader, read=THEN + 2)["type"] == "ack"
    assert signals_to(backend, sender) == []
    del backend.api.broken[sender]
    assert receipts_in_history(backend, sender)["user456"]["read"] == THEN + 2


def test_signal_removes_a_dead_connection(backend: Backend, sender: str) -> None:
    dead = backend.connect("user456", connected_at=events.now() - 60_000)
    backend.api.open.remove(dead)
    signal(backend, sender, typing=True)
    assert not backend.knows(dead)
