"""``MessageRetentionDays``: what has expired is not shown, and nothing else is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any, Protocol
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.iam.policies import Permission
from local.template.model import Stack
from tests.integration.test_history import ids, pages_of, read
from tests.integration.test_permissions import granted, permissions_of
from tests.support.backend import Backend, Container
from tests.support.network import Fault, FaultAction, Network, answer_lost, failing

CHAT = "user123#user456"
DAYS = 30
DAY_MS = 24 * 60 * 60 * 1000
# Not a whole second, so that it matters in which direction a `ttl` is rounded.
THEN = 1764000000123
EXPIRES_AT = 1764000001000 + DAYS * DAY_MS
UPLOAD = {
    "action": "sendfile",
    "chatId": CHAT,
    "fileName": "image.jpg",
    "contentType": "image/jpeg",
}


class Clock:
    """The clock of the functions and of S3.

    Attributes:
        now_ms: The time that it shows, in milliseconds since 1970.
    """

    def __init__(self) -> None:
        self.now_ms = THEN

    def time(self) -> float:
        return self.now_ms / 1000

    def now(self, zone: tzinfo | None = None) -> datetime:
        return datetime.fromtimestamp(self.time(), zone)


@pytest.fixture
def functions(retaining_functions: dict[str, Container]) -> dict[str, Container]:
    return retaining_functions


@pytest.fixture
def clock(backend: Backend) -> Iterator[Clock]:
    clock = Clock()
    with showing(clock, backend):
        yield clock


@contextmanager
def showing(clock: Clock, backend: Backend) -> Iterator[None]:
    """Show this time to what compares times that are days apart; the rest needs the real one."""
    with (
        patch("moto.s3.models.utcnow", lambda: clock.now(UTC).replace(tzinfo=None)),
        patch.object(backend.send_message.modules["chat.retention"], "time", clock),
        patch.object(backend.send_message.modules["chat.files"], "datetime", clock),
        patch.object(backend.send_file.modules["chat.files"], "datetime", clock),
        patch.object(
            backend.send_message.modules["chat.messages"],
            "time",
            SimpleNamespace(time=clock.time),
        ),
    ):
        yield


@contextmanager
def unlimited(backend: Backend) -> Iterator[None]:
    """Let the deployment keep everything from now on, as after an update of the stack."""
    with patch.object(backend.send_message.modules["chat.retention"], "DAYS", 0):
        yield


class Shown(Protocol):
    """A way to read messages to user456; returns their ids, oldest first."""

    def __call__(self, backend: Backend) -> list[str]: ...


def by_page(backend: Backend) -> list[str]:
    return ids(pages_of(backend, backend.connect("user456")))


def by_catch_up(backend: Backend) -> list[str]:
    return [each["messageId"] for each in backend.api.messages(backend.catch_up("user456", 0))]


def by_getmessages_since(backend: Backend) -> list[str]:
    connection_id = backend.connect("user456")
    backend.send(connection_id, {"action": "getmessages", "since": 0})
    return [each["messageId"] for each in backend.api.messages(connection_id)]


def row_with(number: int, **more: dict[str, str]) -> dict[str, Any]:
    """Return the row of a message to user456, as the table holds it."""
    return {
        "chatId": {"S": CHAT},
        "timestamp": {"N": str(THEN + number)},
        "messageId": {"S": str(number)},
        "senderId": {"S": "user123"},
        "recipientId": {"S": "user456"},
        "text": {"S": "x"},
        **more,
    }


def ttl(at_ms: int) -> dict[str, dict[str, str]]:
    return {"ttl": {"N": str(at_ms // 1000)}}


def store(backend: Backend, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        backend.dynamodb.put_item(TableName="ChatMessages", Item=row)


def remove_ttl(backend: Backend) -> None:
    """Leave the rows as a deployment without retention writes them."""
    for item in backend.dynamodb.scan(TableName="ChatMessages")["Items"]:
        item.pop("ttl", None)
        backend.dynamodb.put_item(TableName="ChatMessages", Item=item)


def by_kind(backend: Backend) -> dict[str, dict[str, Any]]:
    """Map the kinds of rows to the one row of each."""
    kinds = {1: "message", 2: "receipt", 3: "record"}
    return {kinds[row["chatId"].count("#")]: row for row in backend.messages()}


# --- Messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [by_page, by_catch_up, by_getmessages_since])
def test_message_is_shown_until_it_expires(backend: Backend, clock: Clock, shown: Shown) -> None:
    ack = backend.say(backend.connect("user123"), CHAT, "x", at=THEN)
    clock.now_ms = EXPIRES_AT - 1
    assert shown(backend) == [ack["messageId"]]
    clock.now_ms = EXPIRES_AT
    assert shown(backend) == []


@pytest.mark.parametrize("shown", [by_page, by_catch_up, by_getmessages_since])
def test_message_of_an_earlier_deployment_without_retention_is_shown_until_it_expires(
    backend: Backend, clock: Clock, shown: Shown
) -> None:
    store(backend, [row_with(0)])
    clock.now_ms = EXPIRES_AT - 1
    assert shown(backend) == ["0"]
    clock.now_ms = EXPIRES_AT
    assert shown(backend) == []


@pytest.mark.parametrize("shown", [by_page, by_catch_up, by_getmessages_since])
def test_ttl_of_an_earlier_deployment_is_final(
    backend: Backend, clock: Clock, shown: Shown
) -> None:
    store(backend, [row_with(number, **ttl(THEN + DAY_MS)) for number in range(3)])
    store(backend, [row_with(3), row_with(4)])
    with unlimited(backend):
        clock.now_ms = THEN // 1000 * 1000 + DAY_MS - 1
        assert shown(backend) == ["0", "1", "2", "3", "4"]
        clock.now_ms += 1
        assert shown(backend) == ["3", "4"]


@pytest.mark.usefixtures("clock")
def test_message_and_its_idempotency_record_get_the_same_ttl(backend: Backend) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN)
    rows = by_kind(backend)
    assert rows["message"]["ttl"] == rows["record"]["ttl"] == EXPIRES_AT // 1000


@pytest.mark.usefixtures("clock")
def test_message_that_jumped_ahead_gets_the_ttl_of_the_time_that_it_got(backend: Backend) -> None:
    sender, at = backend.connect("user123"), 1764000000999
    store(backend, [row_with(number) for number in range(at - THEN + 2)])
    backend.say(sender, CHAT, "y", clientMessageId="c-1", at=at)
    message, record = (row for row in backend.messages() if "ttl" in row)
    assert message["timestamp"] == record["messageTimestamp"] > at + 1
    assert message["ttl"] == record["ttl"] == EXPIRES_AT // 1000 + 1


def test_message_is_stored_with_the_same_calls_as_without_retention(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "x")
    for more, call in (({}, "PutItem"), ({"clientMessageId": "c-1"}, "TransactWriteItems")):
        wire.calls.clear()
        backend.say(sender, CHAT, "x", **more)
        assert sorted(wire.calls) == ["dynamodb.BatchGetItem", f"dynamodb.{call}"]


# --- Pages over rows that DynamoDB has not deleted yet --------------------------------------------

EXPIRED = ttl(THEN)


def queries(wire: Network) -> int:
    return wire.calls.count("dynamodb.Query")


@pytest.mark.parametrize(
    ("kept", "expired", "calls"),
    [
        ([], [], 1),
        (range(10), [], 1),
        # One more than the page has to be there, so that it can say whether there are more.
        (range(5, 10), range(5), 2),
        (range(4, 10), range(4), 1),
        ([0, 1, 2, 3, 4, 9], range(5, 9), 2),
        ([], range(10), 2),
    ],
)
@pytest.mark.usefixtures("clock")
def test_page_is_filled_over_expired_rows_with_as_few_calls_as_possible(
    backend: Backend, wire: Network, kept: list[int], expired: list[int], calls: int
) -> None:
    store(backend, [row_with(number) for number in kept])
    store(backend, [row_with(number, **EXPIRED) for number in expired])
    reader = backend.connect("user123")
    wire.calls.clear()
    page = read(backend, reader, limit=5)
    assert ids([page]) == [str(number) for number in kept][-5:]
    assert page["more"] is (len(kept) > 5)
    assert queries(wire) == calls


@pytest.mark.usefixtures("clock")
def test_page_of_which_dynamodb_reads_a_megabyte_takes_one_call(
    backend: Backend, wire: Network
) -> None:
    text = {"S": "😀" * 4096}
    store(backend, [row_with(number, text=text) for number in range(90)])
    reader = backend.connect("user123")
    wire.calls.clear()
    assert read(backend, reader, limit=100)["more"] is True
    assert queries(wire) == 1


@pytest.mark.usefixtures("clock")
def test_many_expired_rows_at_the_end_of_a_chat_take_few_calls(
    backend: Backend, wire: Network
) -> None:
    """A receipt looks for the newest message, one at a time."""
    store(backend, [row_with(0)])
    store(backend, [row_with(number, **EXPIRED) for number in range(1, 200)])
    reader = backend.connect("user456")
    wire.calls.clear()
    assert backend.send(reader, signal(read=THEN))["type"] == "ack"
    assert queries(wire) == 2


def test_rows_older_than_the_retention_are_not_read_on(
    backend: Backend, clock: Clock, wire: Network
) -> None:
    store(backend, [row_with(number, **EXPIRED) for number in range(20)])
    clock.now_ms = EXPIRES_AT
    reader = backend.connect("user123")
    wire.calls.clear()
    assert read(backend, reader, limit=5)["messages"] == []
    assert queries(wire) == 1


_ROWS = st.lists(
    # How many days ago it was sent, and for how many days it was to be kept; none: without end.
    st.tuples(st.integers(0, 3 * DAYS), st.none() | st.integers(1, 3 * DAYS)),
    max_size=25,
)


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=_ROWS, days=st.sampled_from([0, 1, DAYS]), limit=st.integers(1, 8))
def test_everything_that_has_not_expired_is_shown_exactly_once(
    backend: Backend, rows: list[tuple[int, int | None]], days: int, limit: int
) -> None:
    """Whatever the retention was when each row was stored; expired rows are there yet."""
    for row in backend.messages():
        key = {"chatId": {"S": row["chatId"]}, "timestamp": {"N": str(row["timestamp"])}}
        backend.dynamodb.delete_item(TableName="ChatMessages", Key=key)
    now, kept = THEN + 3 * DAYS * DAY_MS, []
    # Those of one day a millisecond after each other.
    for number, (age, kept_for) in enumerate(sorted(rows, key=lambda row: -row[0])):
        at = now - age * DAY_MS + number
        expiry = {} if kept_for is None else ttl(at + kept_for * DAY_MS + 999)
        row = row_with(number, timestamp={"N": str(at)}, **expiry)
        store(backend, [row])
        if (kept_for is None or age <= kept_for) and (not days or age <= days):
            kept.append(str(number))
    clock = Clock()
    clock.now_ms = now
    retention = backend.send_message.modules["chat.retention"]
    with showing(clock, backend), patch.object(retention, "DAYS", days):
        pages = pages_of(backend, backend.connect("user123"), limit=limit)
        assert ids(pages) == kept
        assert [len(page["messages"]) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert by_catch_up(backend) == by_getmessages_since(backend) == kept


# --- Resends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_ttl", [True, False])
def test_resend_is_the_same_message_until_it_expires_and_then_a_new_one(
    backend: Backend, clock: Clock, *, has_ttl: bool
) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    first = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN)
    if not has_ttl:
        remove_ttl(backend)
    clock.now_ms = EXPIRES_AT - 1
    again = backend.say(sender, CHAT, "y", clientMessageId="c-1", at=clock.now_ms)
    assert again == first | {"duplicate": True}
    clock.now_ms = EXPIRES_AT
    new = backend.say(sender, CHAT, "y", clientMessageId="c-1", at=clock.now_ms)
    assert "duplicate" not in new
    assert new["messageId"] != first["messageId"]
    assert new["timestamp"] == clock.now_ms
    texts = [frame["text"] for frame in backend.api.received(recipient)]
    assert texts == ["x", "x", "y"]
    resend = backend.say(sender, CHAT, "z", clientMessageId="c-1", at=clock.now_ms + 1)
    assert resend == new | {"duplicate": True}


def test_resend_is_the_same_message_permanently_without_retention(
    backend: Backend, clock: Clock
) -> None:
    sender = backend.connect("user123")
    with unlimited(backend):
        first = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=THEN)
        assert not any("ttl" in row for row in backend.messages())
        clock.now_ms += 10_000 * DAY_MS
        again = backend.say(sender, CHAT, "x", clientMessageId="c-1", at=clock.now_ms)
        assert again == first | {"duplicate": True}


@pytest.mark.usefixtures("clock")
def test_key_of_an_expired_message_is_free(backend: Backend) -> None:
    store(backend, [row_with(0, **EXPIRED)])
    ack = backend.say(backend.connect("user123"), CHAT, "y", at=THEN)
    assert ack["timestamp"] == THEN
    assert by_page(backend) == [ack["messageId"]]


# --- Receipts -------------------------------------------------------------------------------------


def signal(**fields: int) -> dict[str, Any]:
    return {"action": "sendmessage", "chatId": CHAT, **fields}


def receipts(backend: Backend) -> dict[str, Any]:
    found: dict[str, Any] = read(backend, backend.connect("user123"))["receipts"]
    return found


def test_receipt_is_shown_until_what_it_reaches_to_expires(backend: Backend, clock: Clock) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "x", at=THEN)
    backend.say(sender, CHAT, "y", at=THEN + DAY_MS)
    backend.send(reader, signal(received=THEN + DAY_MS), at=THEN + DAY_MS)
    # Its `ttl` must not come from this older time.
    backend.send(reader, signal(read=THEN), at=THEN + DAY_MS)
    assert by_kind(backend)["receipt"]["ttl"] == (EXPIRES_AT + DAY_MS) // 1000
    clock.now_ms = EXPIRES_AT + DAY_MS - 1
    assert receipts(backend) == {"user456": {"received": THEN + DAY_MS, "read": THEN}}
    clock.now_ms += 1
    assert receipts(backend) == {}


def test_receipt_of_an_earlier_deployment_without_retention_expires(
    backend: Backend, clock: Clock
) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "x", at=THEN)
    backend.send(reader, signal(read=THEN), at=THEN)
    remove_ttl(backend)
    clock.now_ms = EXPIRES_AT - 1
    assert receipts(backend) == {"user456": {"received": THEN, "read": THEN}}
    clock.now_ms += 1
    assert receipts(backend) == {}


def test_receipt_that_moves_without_retention_expires_no_longer(
    backend: Backend, clock: Clock
) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "x", at=THEN)
    backend.send(reader, signal(received=THEN), at=THEN)
    with unlimited(backend):
        clock.now_ms = EXPIRES_AT
        assert receipts(backend) == {}
        clock.now_ms = THEN
        backend.send(reader, signal(read=THEN), at=THEN)
        assert "ttl" not in by_kind(backend)["receipt"]
        clock.now_ms = EXPIRES_AT
        assert receipts(backend) == {"user456": {"received": THEN, "read": THEN}}


def test_receipt_needs_a_message_that_has_not_expired(backend: Backend, clock: Clock) -> None:
    sender, reader = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "x", at=THEN)
    clock.now_ms = EXPIRES_AT
    error = backend.send(reader, signal(read=THEN), at=clock.now_ms)
    assert error["code"] == "forbidden"


# --- Files ----------------------------------------------------------------------------------------


def sent(file_key: str, **more: str) -> dict[str, Any]:
    return {"action": "sendmessage", "chatId": CHAT, "fileKey": file_key, **more}


def uploaded_at(backend: Backend, file_key: str) -> datetime:
    found: datetime = backend.s3.head_object(Bucket=backend.bucket, Key=file_key)["LastModified"]
    return found


def test_file_that_is_sent_again_is_copied_onto_itself_and_lives_as_long_as_its_message(
    backend: Backend, clock: Clock, wire: Network
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD | {"fileName": "a ü+%.jpg"}, b"a picture")
    backend.send(sender, sent(file_key), at=clock.now_ms)
    tags = {"TagSet": [{"Key": "scan", "Value": "clean"}]}
    backend.s3.put_object_tagging(Bucket=backend.bucket, Key=file_key, Tagging=tags)
    clock.now_ms += DAYS * DAY_MS
    wire.calls.clear()
    assert backend.send(sender, sent(file_key), at=clock.now_ms)["type"] == "ack"
    order = ["s3.HeadObject", "s3.GetObjectTagging", "s3.CopyObject", "dynamodb.PutItem"]
    assert [call for call in wire.calls if call in order] == order
    copy = backend.s3.get_object(Bucket=backend.bucket, Key=file_key)
    assert copy["Body"].read() == b"a picture"
    assert copy["ContentType"] == "image/jpeg"
    assert copy["LastModified"] == clock.now(UTC).replace(microsecond=0)
    assert backend.tags_of(file_key) == {"scan": "clean"}
    clock.now_ms += DAYS * DAY_MS
    download = backend.send(sender, {"action": "sendfile", "chatId": CHAT, "fileKey": file_key})
    assert download["type"] == "download"


def test_file_that_is_sent_within_a_day_is_not_copied(
    backend: Backend, clock: Clock, wire: Network
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    clock.now_ms += DAY_MS - 1000
    wire.calls.clear()
    for _ in range(2):
        assert backend.send(sender, sent(file_key), at=clock.now_ms)["type"] == "ack"
    assert "s3.CopyObject" not in wire.calls


def test_file_is_not_copied_without_retention(
    backend: Backend, clock: Clock, wire: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.send_message.modules["chat.files"], "DAYS", 0)
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    backend.send(sender, sent(file_key), at=clock.now_ms)
    clock.now_ms += 1000 * DAY_MS
    wire.calls.clear()
    assert backend.send(sender, sent(file_key), at=clock.now_ms)["type"] == "ack"
    assert "s3.CopyObject" not in wire.calls


def test_file_that_no_message_can_refer_to_any_more_is_not_found(
    backend: Backend, clock: Clock
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    backend.send(sender, sent(file_key), at=clock.now_ms)
    download = {"action": "sendfile", "chatId": CHAT, "fileKey": file_key}
    clock.now_ms += (DAYS + 1) * DAY_MS - 1000
    assert backend.send(sender, download)["type"] == "download"
    clock.now_ms += 1000
    assert backend.send(sender, download)["code"] == "not_found"
    assert backend.send(sender, sent(file_key), at=clock.now_ms)["code"] == "not_found"


@pytest.mark.parametrize("action", [failing, answer_lost])
def test_message_is_not_stored_where_its_file_could_not_be_copied(
    backend: Backend, clock: Clock, wire: Network, action: FaultAction
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    backend.send(sender, sent(file_key), at=clock.now_ms)
    clock.now_ms += DAY_MS
    before = backend.messages()
    with wire.broken(Fault("s3.CopyObject", action)):
        assert backend.send(sender, sent(file_key), at=clock.now_ms)["code"] == "unavailable"
    assert backend.messages() == before
    assert backend.send(sender, sent(file_key), at=clock.now_ms)["type"] == "ack"


def deleted_by_s3_at(uploaded: datetime) -> datetime:
    """Return when the lifecycle rule deletes a file: at the midnight after its age is over.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    """
    due = uploaded + timedelta(DAYS + 2)
    return due.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(1)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pauses_h=st.lists(st.integers(0, 24 * DAYS), min_size=1, max_size=6))
def test_no_file_is_deleted_before_a_message_that_refers_to_it(
    backend: Backend, pauses_h: list[int]
) -> None:
    clock = Clock()
    with showing(clock, backend):
        sender = backend.connect("user123")
        file_key = backend.upload(sender, UPLOAD)
        for pause_h in pauses_h:
            clock.now_ms += pause_h * DAY_MS // 24
            if deleted_by_s3_at(uploaded_at(backend, file_key)) <= clock.now(UTC):
                break
            answer = backend.send(sender, sent(file_key), at=clock.now_ms)
            if answer["type"] == "ack":
                expires_at = clock.now(UTC) + timedelta(DAYS)
                assert deleted_by_s3_at(uploaded_at(backend, file_key)) > expires_at


def test_role_allows_what_a_copy_needs(
    backend: Backend, clock: Clock, wire: Network, retaining_stack: Stack, stack: Stack
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    backend.send(sender, sent(file_key), at=clock.now_ms)
    clock.now_ms += DAY_MS
    backend.send(sender, sent(file_key), at=clock.now_ms)
    (copy,) = (request for name, request in wire.requests if name == "s3.CopyObject")
    needed = set(permissions_of("s3", copy, retaining_stack))
    assert {permission.action for permission in needed} == {"s3:GetObject", "s3:PutObject"}
    role = retaining_stack.roles["3-send-message"]
    assert all(role.allows(permission) for permission in needed)
    resource = f"arn:aws:s3:::{backend.bucket}/*"
    # S3 copies the tags of a file, too, if it has any, which a request does not show.
    added = {Permission(f"s3:{each}", resource) for each in ("PutObject", "PutObjectTagging")}
    grants = granted(retaining_stack)
    assert grants["send_message"] - granted(stack)["send_message"] == added
    assert all(grants[each] == granted(stack)[each] for each in grants if each != "send_message")
