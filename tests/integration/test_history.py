"""``getmessages``: pages of a chat, and the catch-up on an open connection."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import events
from tests.support.backend import Backend, Logs
from tests.support.network import Fault, Network, failing, throttled

CHAT = "user123#user456"
THEN = 1764000000000
MAX_FRAME_BYTES = 28 * 1024
# The largest text: each character takes four bytes.
LONGEST_TEXT = "😀" * 4096


def pages_of(
    backend: Backend, connection_id: str, *, limit: int | None = None, chat_id: str = CHAT
) -> list[dict[str, Any]]:
    """Read a whole chat as a client does, newest page first."""
    pages = [read(backend, connection_id, limit=limit, chatId=chat_id)]
    while pages[-1]["more"]:
        before = pages[-1]["before"]
        pages.append(read(backend, connection_id, limit=limit, before=before, chatId=chat_id))
    return pages


def read(
    backend: Backend, connection_id: str, *, limit: int | None = None, **fields: Any
) -> dict[str, Any]:
    if limit is not None:
        fields["limit"] = limit
    page = backend.send(connection_id, {"action": "getmessages", "chatId": CHAT, **fields})
    assert page["type"] == "history", page
    return page


def ids(pages: list[dict[str, Any]]) -> list[str]:
    """List the ids of all messages in pages that came newest first, in the chat's order."""
    return [message["messageId"] for page in reversed(pages) for message in page["messages"]]


def size_of(frame: dict[str, Any]) -> int:
    """Return how many bytes a frame has, written as the backend writes it."""
    return len(json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode())


def catch_up(backend: Backend, connection_id: str, since: int, **more: Any) -> dict[str, Any]:
    return backend.send(connection_id, {"action": "getmessages", "since": since}, **more)


@contextmanager
def limited_catch_up(backend: Backend, **limits: float) -> Iterator[None]:
    """Give send_message other limits for a catch-up."""
    module = backend.send_message.module
    usual = module.catch_up
    module.catch_up = type(usual)(
        module.connections, module.messages, module.files, module.push, **limits
    )
    try:
        yield
    finally:
        module.catch_up = usual


def store(backend: Backend, texts: list[str]) -> None:
    """Store messages of user123 to user456, without the functions."""
    rows = [
        {
            "chatId": {"S": CHAT},
            "timestamp": {"N": str(THEN + number)},
            "messageId": {"S": str(uuid4())},
            "senderId": {"S": "user123"},
            "recipientId": {"S": "user456"},
            "text": {"S": text},
        }
        for number, text in enumerate(texts)
    ]
    for first in range(0, len(rows), 25):
        puts = [{"PutRequest": {"Item": row}} for row in rows[first : first + 25]]
        backend.dynamodb.batch_write_item(RequestItems={"ChatMessages": puts})


def error_of(backend: Backend, connection_id: str, **fields: Any) -> tuple[int, str]:
    reply = backend.reply_to(connection_id, {"action": "getmessages", **fields})
    error = backend.frame_of(reply)
    assert (error["type"], error["action"]) == ("error", "getmessages")
    return reply["statusCode"], error["code"]


# --- A page of a chat -----------------------------------------------------------------------------


def test_page_holds_the_messages_of_both_users_oldest_first(backend: Backend) -> None:
    first, second = backend.connect("user123"), backend.connect("user456")
    acks = [
        backend.say(sender, CHAT, str(number), at=THEN + number)
        for number, sender in enumerate([first, second, second, first])
    ]
    page = read(backend, first)
    assert page["messages"] == [
        {
            "messageId": ack["messageId"],
            "chatId": CHAT,
            "senderId": sender,
            "recipientId": recipient,
            "timestamp": THEN + number,
            "text": str(number),
        }
        for number, (ack, sender, recipient) in enumerate(
            [
                (acks[0], "user123", "user456"),
                (acks[1], "user456", "user123"),
                (acks[2], "user456", "user123"),
                (acks[3], "user123", "user456"),
            ]
        )
    ]
    assert page == {
        "type": "history",
        "chatId": CHAT,
        "messages": page["messages"],
        "more": False,
        "receipts": {},
    }
    assert read(backend, second) == page


def test_page_without_limit_holds_the_newest_50(backend: Backend) -> None:
    sender = backend.connect("user123")
    acks = [backend.say(sender, CHAT, str(number), at=THEN + number) for number in range(51)]
    page = read(backend, sender)
    assert ids([page]) == [ack["messageId"] for ack in acks[1:]]
    assert (page["more"], page["before"]) == (True, THEN + 1)


@pytest.mark.parametrize(
    ("limit", "messages", "sizes"),
    [(1, 3, [1, 1, 1]), (2, 4, [2, 2]), (2, 5, [2, 2, 1]), (100, 100, [100]), (100, 0, [0])],
)
def test_last_page_says_that_there_is_no_more(
    backend: Backend, limit: int, messages: int, sizes: list[int]
) -> None:
    sender = backend.connect("user123")
    for number in range(messages):
        backend.say(sender, CHAT, "x", at=THEN + number)
    pages = pages_of(backend, sender, limit=limit)
    assert [len(page["messages"]) for page in pages] == sizes
    assert [page["more"] for page in pages] == [True] * (len(sizes) - 1) + [False]
    assert [page["before"] for page in pages[:-1]] == [
        page["messages"][0]["timestamp"] for page in pages[:-1]
    ]
    assert "before" not in pages[-1]


def test_before_excludes_its_own_millisecond(backend: Backend) -> None:
    sender = backend.connect("user123")
    for number in range(3):
        backend.say(sender, CHAT, str(number), at=THEN + number)
    page = read(backend, sender, before=THEN + 2)
    assert [message["text"] for message in page["messages"]] == ["0", "1"]
    assert read(backend, sender, before=0)["messages"] == []


def test_chat_id_may_be_in_either_order(backend: Backend) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x")
    page = read(backend, sender, chatId="user456#user123")
    assert (page["chatId"], len(page["messages"])) == (CHAT, 1)


def test_page_holds_no_idempotency_record(backend: Backend) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x", clientMessageId="1")
    assert len(read(backend, sender)["messages"]) == 1


def test_page_has_the_client_message_ids_of_its_reader_alone(backend: Backend) -> None:
    first, second = backend.connect("user123"), backend.connect("user456")
    backend.say(first, CHAT, "x", clientMessageId="c-1", at=THEN)
    backend.say(second, CHAT, "y", clientMessageId="c-2", at=THEN + 1)
    for reader, expected in ((first, ["c-1", None]), (second, [None, "c-2"])):
        page = read(backend, reader)
        assert [each.get("clientMessageId") for each in page["messages"]] == expected
    missed = backend.api.messages(backend.catch_up("user456", since=0))
    assert "clientMessageId" not in missed[0]


def test_page_holds_fresh_links_to_files(backend: Backend) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    file = {"chatId": CHAT, "fileName": "a.jpg", "contentType": "image/jpeg"}
    key = backend.upload(sender, {"action": "sendfile", **file})
    backend.send(sender, {"action": "sendmessage", "chatId": CHAT, "fileKey": key})
    (message,) = read(backend, reader)["messages"]
    assert (message["fileKey"], message["fileName"], message["size"]) == (key, "a.jpg", 9)
    assert "X-Amz-Signature=" in message["fileUrl"]


@pytest.mark.parametrize(
    ("texts", "pages"),
    [
        ([LONGEST_TEXT] * 5, 5),
        # A control character takes six bytes in JSON.
        (["\x01" * 4095 + "x"] * 3, 3),
        (["x" * 4096] * 30, 5),
        (["short", LONGEST_TEXT, "short"] * 4, 4),
    ],
    ids=["emoji", "controls", "letters", "mixed"],
)
def test_page_is_cut_where_the_frame_is_full(
    backend: Backend, texts: list[str], pages: int
) -> None:
    sender = backend.connect("user123")
    acks = [backend.say(sender, CHAT, text, at=THEN + n) for n, text in enumerate(texts)]
    found = pages_of(backend, sender, limit=100)
    assert ids(found) == [ack["messageId"] for ack in acks]
    assert len(found) == pages
    assert all(size_of(page) <= MAX_FRAME_BYTES for page in found)


def test_message_that_is_larger_than_a_page_is_a_page(backend: Backend) -> None:
    """The longest text of control characters, with a file with a long name."""
    sender = backend.connect("user123")
    name = "é" * 240 + ".jpg"
    file = {"chatId": CHAT, "fileName": name, "contentType": "image/jpeg"}
    key = backend.upload(sender, {"action": "sendfile", **file})
    for text in ("before", "\x01" * 4095 + "x", "after"):
        frame = {"action": "sendmessage", "chatId": CHAT, "text": text, "fileKey": key}
        assert backend.send(sender, frame)["type"] == "ack"
    pages = pages_of(backend, sender)
    assert [[message["text"][:6] for message in page["messages"]] for page in pages] == [
        ["after"],
        ["\x01" * 6],
        ["before"],
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"chatId": CHAT, "since": THEN},
        {"chatId": "user123"},
        {"chatId": CHAT, "limit": 0},
        {"chatId": CHAT, "limit": 101},
        {"chatId": CHAT, "limit": -1},
        {"chatId": CHAT, "limit": "50"},
        {"chatId": CHAT, "limit": 1.5},
        {"chatId": CHAT, "limit": True},
        {"chatId": CHAT, "before": -1},
        {"chatId": CHAT, "before": 1.5},
        {"chatId": CHAT, "before": "1764000000000"},
        {"chatId": CHAT, "before": 10**16},
        {"since": -1},
        {"since": 1.5},
        {"since": "0"},
        {"since": 10**16},
        {"since": [0]},
    ],
    ids=str,
)
def test_frame_that_is_not_of_the_agreed_form_is_refused(
    backend: Backend, wire: Network, fields: dict[str, Any]
) -> None:
    asker = backend.connect("user123")
    assert error_of(backend, asker, **fields) == (400, "invalid_request")
    assert "dynamodb.Query" not in wire.calls


def test_chat_of_others_is_refused(backend: Backend, wire: Network) -> None:
    backend.say(backend.connect("user123"), CHAT, "secret")
    stranger = backend.connect("user789")
    wire.calls.clear()
    assert error_of(backend, stranger, chatId=CHAT) == (403, "forbidden")
    assert "dynamodb.Query" not in wire.calls


@pytest.mark.parametrize("fields", [{"chatId": CHAT}, {"since": 0}], ids=["history", "catch-up"])
def test_connection_that_is_not_registered_is_unauthorized(
    backend: Backend, fields: dict[str, Any]
) -> None:
    assert error_of(backend, events.new_id(), **fields) == (401, "unauthorized")


@pytest.mark.parametrize("fields", [{"chatId": CHAT}, {"since": 0}], ids=["history", "catch-up"])
@pytest.mark.parametrize("fault", [throttled, failing])
def test_table_that_does_not_answer_is_unavailable(
    backend: Backend, wire: Network, fields: dict[str, Any], fault: Any
) -> None:
    reader = backend.connect("user123")
    with wire.broken(Fault("dynamodb.Query", fault)):
        assert error_of(backend, reader, **fields) == (503, "unavailable")


def test_page_is_three_strongly_consistent_reads_in_parallel(
    backend: Backend, wire: Network
) -> None:
    """An index, or a read that is eventually consistent, would miss what was just stored."""
    reader = backend.connect("user123")
    read(backend, reader)
    wire.calls.clear()
    read(backend, reader)
    assert sorted(wire.calls) == ["dynamodb.GetItem", "dynamodb.GetItem", "dynamodb.Query"]
    query = wire.bodies["dynamodb.Query"][-1]
    assert query["ConsistentRead"] is True
    assert "IndexName" not in query
    assert all(each["ConsistentRead"] for each in wire.bodies["dynamodb.GetItem"][-2:])


@pytest.mark.slow
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_pages_together_are_the_chat_whatever_is_stored_meanwhile(
    backend: Backend, data: st.DataObject
) -> None:
    """Messages that are stored while a client reads its pages move none of the others."""
    chat_id = f"user123#v{events.new_id()}"
    sender = backend.connect("user123")
    times = st.integers(min_value=0, max_value=60)
    lengths = st.sampled_from([1, 40, 4096])

    def say() -> str:
        text = "😀" * data.draw(lengths)
        ack = backend.say(sender, chat_id, text, at=THEN + data.draw(times))
        return str(ack["messageId"])

    before = {say() for _ in range(data.draw(st.integers(0, 12)))}
    in_order = [row["messageId"] for row in backend.chat(chat_id)]
    limit = data.draw(st.integers(1, 6))
    pages = [read(backend, sender, chatId=chat_id, limit=limit)]
    while pages[-1]["more"]:
        for _ in range(data.draw(st.integers(0, 2))):
            say()
        cursor = pages[-1]["before"]
        pages.append(read(backend, sender, chatId=chat_id, limit=limit, before=cursor))
    read_ids = ids(pages)
    assert len(set(read_ids)) == len(read_ids)
    assert [each for each in read_ids if each in before] == in_order
    stored = [row["messageId"] for row in backend.chat(chat_id)]
    assert read_ids == [each for each in stored if each in set(read_ids)]


def test_two_devices_that_wrote_while_the_other_was_away_show_the_same_chat(
    backend: Backend,
) -> None:
    partner = backend.connect("user456")
    shown: list[set[str]] = []
    for device in ("phone", "laptop"):
        connection_id = backend.connect("user123")
        for number in range(3):
            backend.say(connection_id, CHAT, f"{device} {number}")
            backend.say(partner, CHAT, f"answer {number} to {device}")
        backend.on_disconnect(events.disconnect(connection_id))
    for _ in range(2):
        device = backend.connect("user123", since=str(events.now()))
        shown.append({message["text"] for message in read(backend, device)["messages"]})
    assert shown[0] == shown[1]
    assert len(shown[0]) == 12


# --- The catch-up on an open connection -----------------------------------------------------------


def test_catch_up_pushes_missed_messages_and_answers_synced(backend: Backend) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    for number in range(3):
        backend.say(sender, CHAT, str(number), at=THEN + number)
    backend.api.forget()
    backend.api.open.add(reader)
    synced = catch_up(backend, reader, THEN, at=THEN + 500)
    assert synced == {
        "type": "synced",
        "since": THEN,
        "until": THEN + 500,
        "count": 3,
        "complete": True,
    }
    (frame,) = backend.api.received(reader)
    assert frame["type"] == "messages"
    assert [message["text"] for message in frame["messages"]] == ["0", "1", "2"]


def test_catch_up_with_nothing_missed_costs_one_query(backend: Backend, wire: Network) -> None:
    reader = backend.connect("user456")
    catch_up(backend, reader, 0)
    wire.calls.clear()
    assert catch_up(backend, reader, 0)["count"] == 0
    assert wire.calls == ["dynamodb.Query"]


@pytest.mark.parametrize("ahead_ms", [1, 60_000, 10**15])
def test_since_of_a_clock_that_is_ahead_counts_as_now(backend: Backend, ahead_ms: int) -> None:
    reader = backend.connect("user456")
    synced = catch_up(backend, reader, THEN + ahead_ms, at=THEN)
    assert (synced["since"], synced["until"]) == (THEN, THEN)


def test_300_missed_short_messages_arrive_in_at_most_12_frames(backend: Backend) -> None:
    texts = [f"message {number}" for number in range(300)]
    store(backend, texts)
    by_handshake = backend.catch_up("user456", since=THEN)
    on_request = backend.connect("user456")
    catch_up(backend, on_request, THEN)
    for connection_id in (by_handshake, on_request):
        frames = [
            frame for frame in backend.api.received(connection_id) if frame["type"] == "messages"
        ]
        assert len(frames) <= 12
        for frame in frames:
            assert size_of(frame) <= MAX_FRAME_BYTES
        received = [message["text"] for message in backend.api.messages(connection_id)]
        assert received == texts


def test_catch_up_that_exceeds_max_messages_is_complete_the_second_time(backend: Backend) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    backend.api.open.remove(reader)
    ids = [backend.say(sender, CHAT, "x", at=THEN + 60_000 * n)["messageId"] for n in range(4)]
    backend.api.open.add(reader)
    with limited_catch_up(backend, max_messages=3):
        first = catch_up(backend, reader, THEN)
        assert (first["count"], first["complete"]) == (3, False)
        second = catch_up(backend, reader, first["until"])
    assert second["complete"] is True
    assert {message["messageId"] for message in backend.api.messages(reader)} == set(ids)


def test_catch_up_of_a_closed_connection_removes_it(backend: Backend) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    backend.api.open.remove(reader)
    backend.say(sender, CHAT, "x")
    backend.send(reader, {"action": "getmessages", "since": 0})
    assert not backend.knows(reader)
    assert backend.listed("user456") == set()


def test_catch_up_that_a_slow_client_interrupts_is_unavailable(
    backend: Backend, logs: Logs
) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "x")
    backend.api.broken[reader] = 429
    with limited_catch_up(backend, push_timeout_s=0):
        assert error_of(backend, reader, since=0) == (503, "unavailable")
    assert backend.knows(reader)
    assert any(line.get("message") == "refused" for line in logs())
    del backend.api.broken[reader]
    assert catch_up(backend, reader, 0)["count"] == 1
