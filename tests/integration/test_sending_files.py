import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import events
from tests.support.backend import Backend, Container, Logs
from tests.support.network import (
    Fault,
    FaultAction,
    Killed,
    Network,
    Send,
    killed_before,
    lost_on_its_way,
    s3_answers,
    throttled,
)
from tests.support.stack import environment_of

CHAT = "user123#user456"
FOLDER = "0ed1a8c2-9d5f-4a43-8a8e-000000000001"
UPLOAD = {
    "action": "sendfile",
    "chatId": CHAT,
    "fileName": "image.jpg",
    "contentType": "image/jpeg",
}


def sendmessage_frame(file_key: str, **more: object) -> dict[str, Any]:
    return {"action": "sendmessage", "chatId": CHAT, "fileKey": file_key, **more}


def refused(backend: Backend, sender: str, frame: dict[str, Any]) -> tuple[int, str]:
    before = backend.messages()
    reply = backend.reply_to(sender, frame)
    error = backend.frame_of(reply)
    assert (error["type"], error["action"]) == ("error", "sendmessage")
    assert backend.messages() == before
    return reply["statusCode"], error["code"]


@contextmanager
def aged(backend: Backend, monkeypatch: pytest.MonkeyPatch, age: timedelta) -> Iterator[None]:
    """Make all files look older to the function, by `age`."""
    module = backend.send_message.modules["chat.files"]
    clock = SimpleNamespace(now=lambda zone: datetime.now(zone) + age)
    with monkeypatch.context() as patch:
        patch.setattr(module, "datetime", clock)
        yield


def test_file_is_sent_by_its_key(backend: Backend) -> None:
    sender, tablet = backend.connect("user123"), backend.connect("user123")
    recipient = backend.connect("user456")
    file_key = backend.upload(sender, UPLOAD, b"a picture")
    ack = backend.send(sender, sendmessage_frame(file_key, text="Look!"))
    assert (ack["type"], ack["delivered"]) == ("ack", 1)
    file_fields = {
        "fileKey": file_key,
        "fileName": "image.jpg",
        "contentType": "image/jpeg",
        "size": 9,
    }
    (row,) = backend.messages()
    assert row == {
        "messageId": ack["messageId"],
        "chatId": CHAT,
        "senderId": "user123",
        "recipientId": "user456",
        "timestamp": ack["timestamp"],
        "text": "Look!",
        **file_fields,
    }
    for device in (tablet, recipient):
        (received,) = backend.api.received(device)
        url = received.pop("fileUrl")
        assert url.startswith(
            f"https://{backend.bucket}.s3.us-east-1.amazonaws.com/user123%23user456/"
        )
        assert received == {"type": "message", **row}


def test_file_without_text_is_sent(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.send(sender, sendmessage_frame(backend.upload(sender, UPLOAD)))
    (received,) = backend.api.received(recipient)
    assert "text" not in received


def test_both_members_can_send_the_same_file_again(backend: Backend) -> None:
    first, second = backend.connect("user123"), backend.connect("user456")
    file_key = backend.upload(first, UPLOAD)
    assert backend.send(first, sendmessage_frame(file_key))["type"] == "ack"
    assert backend.send(second, sendmessage_frame(file_key))["type"] == "ack"
    assert backend.send(first, sendmessage_frame(file_key))["type"] == "ack"


@pytest.mark.parametrize("size", [0, 1, 26214400])
def test_file_of_zero_to_maximum_size_is_sent(backend: Backend, size: int) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.send(sender, sendmessage_frame(backend.upload(sender, UPLOAD, bytes(size))))
    assert backend.api.received(recipient)[0]["size"] == size


def test_file_over_the_maximum_size_is_refused_and_stays_unsent(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD, bytes(26214401))
    assert refused(backend, sender, sendmessage_frame(file_key)) == (413, "too_large")
    assert backend.tags_of(file_key) == {"state": "unsent"}


def test_file_that_was_not_uploaded_is_not_found(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.send(sender, UPLOAD)["fileKey"]
    assert refused(backend, sender, sendmessage_frame(file_key)) == (404, "not_found")


@pytest.mark.parametrize("status", [403, 404])
def test_403_and_404_of_s3_mean_that_a_file_is_not_found(
    backend: Backend, wire: Network, logs: Logs, status: int
) -> None:
    """S3 answers 403 to a role without s3:ListBucket. The log has the status."""
    sender = backend.connect("user123")
    with wire.broken(Fault("s3.HeadObject", s3_answers(status))):
        answer = refused(backend, sender, sendmessage_frame(f"{CHAT}/{FOLDER}/a.jpg"))
    assert answer == (404, "not_found")
    (line,) = (line for line in logs() if line.get("message") == "refused")
    assert line["cause"] == f"ClientError: {status} (HeadObject)"


def test_file_key_in_another_unicode_form_is_not_found(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD | {"fileName": "caf\u00e9.jpg"})
    other = file_key.replace("\u00e9", "e\u0301")
    assert refused(backend, sender, sendmessage_frame(other)) == (404, "not_found")
    assert backend.send(sender, sendmessage_frame(file_key))["type"] == "ack"


@pytest.mark.parametrize(
    "change",
    [str.upper, lambda key: key[:-1], lambda key: f"{key} "],
    ids=["in capitals", "one character less", "one space more"],
)
def test_slightly_changed_file_key_is_not_found(backend: Backend, change: Any) -> None:
    sender = backend.connect("user123")
    chat_id, _, rest = backend.upload(sender, UPLOAD).partition("/")
    file_key = f"{chat_id}/{change(rest)}"
    assert refused(backend, sender, sendmessage_frame(file_key)) == (404, "not_found")


def test_prefix_of_a_file_key_is_refused_without_a_call_to_s3(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    wire.calls.clear()
    prefix = file_key.removesuffix("image.jpg")
    assert refused(backend, sender, sendmessage_frame(prefix)) == (404, "not_found")
    assert not [call for call in wire.calls if call.startswith("s3.")]


def test_file_of_another_chat_cannot_be_sent(backend: Backend, wire: Network) -> None:
    file_key = backend.upload(backend.connect("user456"), UPLOAD | {"chatId": "user456#user789"})
    sender = backend.connect("user123")
    wire.calls.clear()
    assert refused(backend, sender, sendmessage_frame(file_key)) == (403, "forbidden")
    spelled = backend.upload(sender, UPLOAD).replace("#", "%23")
    assert refused(backend, sender, sendmessage_frame(spelled)) == (403, "forbidden")
    assert "s3.HeadObject" not in wire.calls


def test_sent_file_loses_its_unsent_tag(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    backend.send(sender, sendmessage_frame(file_key))
    assert backend.tags_of(file_key) == {}


def test_file_is_retained_before_its_message_is_stored(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    with wire.broken(Fault("dynamodb.PutItem", killed_before)), pytest.raises(Killed):
        backend.send(sender, sendmessage_frame(file_key))
    wire.is_dead = False
    assert backend.messages() == []
    assert backend.tags_of(file_key) == {}
    assert backend.send(sender, sendmessage_frame(file_key))["type"] == "ack"


@pytest.mark.parametrize("fault", [s3_answers(503, "SlowDown"), s3_answers(500), lost_on_its_way])
def test_message_is_not_stored_if_its_file_cannot_be_retained(
    backend: Backend, wire: Network, fault: FaultAction
) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    file_key = backend.upload(sender, UPLOAD)
    for operation in ("s3.HeadObject", "s3.DeleteObjectTagging"):
        with wire.broken(Fault(operation, fault)):
            assert refused(backend, sender, sendmessage_frame(file_key)) == (503, "unavailable")
    assert backend.api.received(recipient) == []
    assert backend.tags_of(file_key) == {"state": "unsent"}


def test_concurrent_untagging_of_a_file_is_unavailable(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    with wire.broken(Fault("s3.DeleteObjectTagging", s3_answers(409, "OperationAborted"))):
        assert refused(backend, sender, sendmessage_frame(file_key)) == (503, "unavailable")


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("s3.HeadObject", s3_answers(400)),
        ("s3.DeleteObjectTagging", s3_answers(403, "AccessDenied")),
    ],
)
def test_unexpected_answer_of_s3_is_an_internal_error(
    backend: Backend, wire: Network, operation: str, fault: FaultAction
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    with wire.broken(Fault(operation, fault)):
        assert refused(backend, sender, sendmessage_frame(file_key)) == (500, "internal")


def test_unsent_file_of_a_day_ago_cannot_be_sent(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    with aged(backend, monkeypatch, timedelta(days=1)):
        assert refused(backend, sender, sendmessage_frame(file_key)) == (404, "not_found")
    assert backend.tags_of(file_key) == {"state": "unsent"}
    with aged(backend, monkeypatch, timedelta(hours=23, minutes=59)):
        assert backend.send(sender, sendmessage_frame(file_key))["type"] == "ack"


def test_sent_file_can_be_sent_again_after_1000_days(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    backend.send(sender, sendmessage_frame(file_key))
    with aged(backend, monkeypatch, timedelta(days=1000)):
        assert backend.send(sender, sendmessage_frame(file_key))["type"] == "ack"


def test_other_tags_do_not_prevent_sending_an_old_file(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    tags = {"TagSet": [{"Key": "scan", "Value": "clean"}]}
    backend.s3.put_object_tagging(Bucket=backend.bucket, Key=file_key, Tagging=tags)
    with aged(backend, monkeypatch, timedelta(days=2)):
        assert backend.send(sender, sendmessage_frame(file_key))["type"] == "ack"


def test_resend_is_pushed_with_the_file_of_the_original(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    first, second = backend.upload(sender, UPLOAD), backend.upload(sender, UPLOAD, b"another")
    backend.send(sender, sendmessage_frame(first, clientMessageId="c-1"))
    assert (
        backend.send(sender, sendmessage_frame(second, clientMessageId="c-1"))["duplicate"] is True
    )
    assert [frame["fileKey"] for frame in backend.api.received(recipient)] == [first, first]
    assert all(frame["fileUrl"] for frame in backend.api.received(recipient))


def test_catch_up_pushes_a_file_with_a_new_download_link(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    backend.send(sender, sendmessage_frame(file_key))
    (message,) = backend.api.messages(backend.catch_up("user456", since=0))
    (row,) = backend.messages()
    assert message.pop("fileUrl").startswith("https://")
    assert message == row


def test_catch_up_makes_no_call_to_s3(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    backend.send(sender, sendmessage_frame(backend.upload(sender, UPLOAD)))
    wire.calls.clear()
    backend.catch_up("user456", since=0)
    assert not [call for call in wire.calls if call.startswith("s3.")]


def test_file_makes_two_calls_to_s3_and_a_text_none(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    backend.say(sender, CHAT, "x")
    wire.calls.clear()
    backend.say(sender, CHAT, "x")
    calls_of_a_text = sorted(wire.calls)
    wire.calls.clear()
    backend.send(sender, sendmessage_frame(file_key))
    s3_calls = [call for call in wire.calls if call.startswith("s3.")]
    assert s3_calls == ["s3.HeadObject", "s3.DeleteObjectTagging"]
    assert sorted(set(wire.calls) - set(s3_calls)) == sorted(set(calls_of_a_text))


def test_container_makes_no_s3_client_before_the_first_file(backend: Backend, stack: Any) -> None:
    (function,) = (each for each in stack.functions.values() if each.code.name == "send_message")
    container = Container("send_message", environment_of(function, stack.region))
    cache_info = container.modules["chat.aws"].s3.cache_info
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "Hello!"}
    reply = container(events.message(backend.connect("user123"), frame))
    assert reply["statusCode"] == 200
    assert cache_info().currsize == 0
    container(
        events.message(backend.connect("user123"), sendmessage_frame(f"{CHAT}/{FOLDER}/a.jpg"))
    )
    assert cache_info().currsize == 1


def test_slow_file_lookup_leaves_less_time_to_store_the_message(
    backend: Backend, wire: Network
) -> None:
    """STORE_TIMEOUT_S counts from before the lookup, so that the function ends in time."""
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)

    def slow(_: object, send: Send) -> Any:
        threading.Event().wait(0.6)
        return send()

    broken = (Fault("s3.HeadObject", slow), Fault("dynamodb.PutItem", throttled))
    wire.calls.clear()
    with wire.broken(*broken):
        assert refused(backend, sender, sendmessage_frame(file_key)) == (503, "unavailable")
    # One attempt to store, with two attempts of botocore.
    assert wire.calls.count("dynamodb.PutItem") == 2


def test_sent_file_logs_no_file_key_name_or_link(
    backend: Backend, wire: Network, logs: Logs
) -> None:
    sender, _ = backend.connect("user123"), backend.connect("user456")
    upload = UPLOAD | {"fileName": "diagnosis.jpg"}
    file_key = backend.upload(sender, upload)
    logs()
    backend.send(sender, sendmessage_frame(file_key))
    backend.catch_up("user456", since=0)
    for fault in (s3_answers(400), s3_answers(404), lost_on_its_way):
        with wire.broken(Fault("s3.HeadObject", fault)):
            backend.send(sender, sendmessage_frame(file_key))
    logged = str(logs())
    assert "message sent" in logged
    for secret in ("diagnosis", "X-Amz", file_key.split("/")[1]):
        assert secret not in logged


@pytest.mark.parametrize("longest", ["😀" * 157, "写" * 209, "é" * 255, "x" * 255])
def test_longest_file_name_and_text_fit_into_a_frame(backend: Backend, longest: str) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    file_key = backend.upload(sender, UPLOAD | {"fileName": longest})
    backend.send(sender, sendmessage_frame(file_key, text="😀" * 4096, clientMessageId="x" * 128))
    (received,) = backend.api.received(recipient)
    # An encoded session token of a role has some 1,300 characters; that of moto is short.
    token = 1_300
    assert len(json.dumps(received, ensure_ascii=False).encode()) + token < 32_768
    # S3 accepts 8 KB of headers, the link included; browsers add 1 KB:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    assert len(received["fileUrl"]) + token + 1_000 < 8_192


@pytest.mark.parametrize("name", ["😀" * 162, "写" * 216, "😀" * 242])
def test_file_name_whose_link_would_be_too_long_is_refused_before_the_upload(
    backend: Backend, name: str
) -> None:
    error = backend.send(backend.connect("user123"), UPLOAD | {"fileName": name})
    assert (error["code"], error["message"]) == (
        "invalid_request",
        "`fileName` is too long to store. Shorten it.",
    )


@pytest.mark.parametrize(
    "header",
    [
        {"ContentEncoding": "gzip"},
        {"ContentEncoding": "br, gzip"},
        {"ContentLanguage": "de"},
        {"Expires": datetime(2030, 1, 1, tzinfo=UTC)},
    ],
)
def test_file_that_was_uploaded_with_headers_for_the_reader_is_refused(
    backend: Backend, header: dict[str, Any]
) -> None:
    sender = backend.connect("user123")
    upload = backend.send(sender, UPLOAD)
    backend.put(upload, **header)
    file_key = upload["fileKey"]
    assert refused(backend, sender, sendmessage_frame(file_key)) == (415, "unsupported_type")
    frame = {"action": "sendfile", "chatId": CHAT, "fileKey": file_key}
    assert backend.send(sender, frame)["code"] == "unsupported_type"
    assert backend.tags_of(file_key) == {"state": "unsent"}


def test_file_that_a_browser_uploaded_without_its_cache_can_be_sent(backend: Backend) -> None:
    """Its link has another Cache-Control: see tests/e2e."""
    sender = backend.connect("user123")
    upload = backend.send(sender, UPLOAD)
    backend.put(upload, CacheControl="no-cache")
    assert backend.send(sender, sendmessage_frame(upload["fileKey"]))["type"] == "ack"
