import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

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
PHOTO = {
    "action": "sendfile",
    "chatId": CHAT,
    "fileName": "image.jpg",
    "contentType": "image/jpeg",
}


def sending(file_key: str, **more: object) -> dict[str, Any]:
    return {"action": "sendmessage", "chatId": CHAT, "fileKey": file_key, **more}


def refused(backend: Backend, sender: str, frame: dict[str, Any]) -> tuple[int, str]:
    before = backend.messages()
    reply = backend.reply_to(sender, frame)
    error = backend.frame_of(reply)
    assert (error["type"], error["action"]) == ("error", "sendmessage")
    assert backend.messages() == before
    return reply["statusCode"], error["code"]


@contextmanager
def later(backend: Backend, monkeypatch: pytest.MonkeyPatch, age: timedelta) -> Iterator[None]:
    """Let the function see its files that much older."""
    module = backend.send_message.modules["chat.files"]
    clock = SimpleNamespace(now=lambda zone: datetime.now(zone) + age)
    with monkeypatch.context() as patch:
        patch.setattr(module, "datetime", clock)
        yield


def test_a_file_is_sent_by_its_key(backend: Backend) -> None:
    sender, tablet = backend.connect("user123"), backend.connect("user123")
    recipient = backend.connect("user456")
    file_key = backend.upload(sender, PHOTO, b"a picture")
    ack = backend.send(sender, sending(file_key, text="Look!"))
    assert (ack["type"], ack["delivered"]) == ("ack", 1)
    of_the_file = {
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
        **of_the_file,
    }
    for device in (tablet, recipient):
        (received,) = backend.api.received(device)
        url = received.pop("fileUrl")
        assert url.startswith(
            f"https://{backend.bucket}.s3.us-east-1.amazonaws.com/user123%23user456/"
        )
        assert received == {"type": "message", **row}


def test_a_file_needs_no_text(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.send(sender, sending(backend.upload(sender, PHOTO)))
    (received,) = backend.api.received(recipient)
    assert "text" not in received


def test_either_side_may_send_a_file_of_the_chat_again(backend: Backend) -> None:
    first, second = backend.connect("user123"), backend.connect("user456")
    file_key = backend.upload(first, PHOTO)
    assert backend.send(first, sending(file_key))["type"] == "ack"
    assert backend.send(second, sending(file_key))["type"] == "ack"
    assert backend.send(first, sending(file_key))["type"] == "ack"


@pytest.mark.parametrize("size", [0, 1, 26214400])
def test_a_file_may_be_empty_or_as_large_as_the_deployment_takes(
    backend: Backend, size: int
) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.send(sender, sending(backend.upload(sender, PHOTO, bytes(size))))
    assert backend.api.received(recipient)[0]["size"] == size


def test_a_file_that_is_a_byte_too_large_is_refused_and_left_to_s3(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO, bytes(26214401))
    assert refused(backend, sender, sending(file_key)) == (413, "too_large")
    assert backend.tags_of(file_key) == {"state": "unsent"}


def test_a_file_that_was_not_uploaded_is_not_found(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.send(sender, PHOTO)["fileKey"]
    assert refused(backend, sender, sending(file_key)) == (404, "not_found")


@pytest.mark.parametrize("status", [403, 404])
def test_s3_says_that_a_file_is_missing_in_either_of_two_ways(
    backend: Backend, wire: Network, logs: Logs, status: int
) -> None:
    """Without s3:ListBucket it says 403. The log tells the two apart."""
    sender = backend.connect("user123")
    with wire.broken(Fault("s3.HeadObject", s3_answers(status))):
        answer = refused(backend, sender, sending(f"{CHAT}/{FOLDER}/a.jpg"))
    assert answer == (404, "not_found")
    (line,) = (line for line in logs() if line.get("message") == "refused")
    assert line["cause"] == f"ClientError: {status} (HeadObject)"


def test_a_key_in_another_unicode_form_is_another_key(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO | {"fileName": "caf\u00e9.jpg"})
    other = file_key.replace("\u00e9", "e\u0301")
    assert refused(backend, sender, sending(other)) == (404, "not_found")
    assert backend.send(sender, sending(file_key))["type"] == "ack"


@pytest.mark.parametrize("change", [str.upper, lambda key: key[:-1], lambda key: f"{key} "])
def test_a_key_that_is_nearly_right_is_not_found(backend: Backend, change: Any) -> None:
    sender = backend.connect("user123")
    chat_id, _, rest = backend.upload(sender, PHOTO).partition("/")
    file_key = f"{chat_id}/{change(rest)}"
    assert refused(backend, sender, sending(file_key)) == (404, "not_found")


@pytest.mark.parametrize("parts", [0, 1, 2])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_key_that_is_a_prefix_is_refused_unasked(
    backend: Backend, wire: Network, parts: int, slash: str
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    wire.calls.clear()
    prefix = "/".join(file_key.split("/")[:parts]) + slash
    code = refused(backend, sender, sending(prefix))[1]
    assert code in {"not_found", "forbidden", "invalid_request"}
    assert not [call for call in wire.calls if call.startswith("s3.")]


def test_a_file_of_another_chat_cannot_be_sent(backend: Backend, wire: Network) -> None:
    theirs = backend.upload(backend.connect("user456"), PHOTO | {"chatId": "user456#user789"})
    sender = backend.connect("user123")
    wire.calls.clear()
    assert refused(backend, sender, sending(theirs)) == (403, "forbidden")
    spelled = backend.upload(sender, PHOTO).replace("#", "%23")
    assert refused(backend, sender, sending(spelled)) == (403, "forbidden")
    assert "s3.HeadObject" not in wire.calls


def test_a_file_that_was_sent_is_kept(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    backend.send(sender, sending(file_key))
    assert backend.tags_of(file_key) == {}


def test_a_file_is_kept_before_its_message_is_stored(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    with wire.broken(Fault("dynamodb.PutItem", killed_before)), pytest.raises(Killed):
        backend.send(sender, sending(file_key))
    wire.is_dead = False
    assert backend.messages() == []
    assert backend.tags_of(file_key) == {}
    assert backend.send(sender, sending(file_key))["type"] == "ack"


@pytest.mark.parametrize("fault", [s3_answers(503, "SlowDown"), s3_answers(500), lost_on_its_way])
def test_no_message_is_stored_whose_file_could_not_be_kept(
    backend: Backend, wire: Network, fault: FaultAction
) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    file_key = backend.upload(sender, PHOTO)
    for operation in ("s3.HeadObject", "s3.DeleteObjectTagging"):
        with wire.broken(Fault(operation, fault)):
            assert refused(backend, sender, sending(file_key)) == (503, "unavailable")
    assert backend.api.received(recipient) == []
    assert backend.tags_of(file_key) == {"state": "unsent"}


def test_two_who_send_a_file_at_once_may_try_again(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    with wire.broken(Fault("s3.DeleteObjectTagging", s3_answers(409, "OperationAborted"))):
        assert refused(backend, sender, sending(file_key)) == (503, "unavailable")


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("s3.HeadObject", s3_answers(400)),
        ("s3.DeleteObjectTagging", s3_answers(403, "AccessDenied")),
    ],
)
def test_what_s3_should_never_say_is_our_mistake(
    backend: Backend, wire: Network, operation: str, fault: FaultAction
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    with wire.broken(Fault(operation, fault)):
        assert refused(backend, sender, sending(file_key)) == (500, "internal")


def test_a_file_that_s3_may_delete_any_time_cannot_be_sent(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    with later(backend, monkeypatch, timedelta(days=1)):
        assert refused(backend, sender, sending(file_key)) == (404, "not_found")
    assert backend.tags_of(file_key) == {"state": "unsent"}
    with later(backend, monkeypatch, timedelta(hours=23, minutes=59)):
        assert backend.send(sender, sending(file_key))["type"] == "ack"


def test_a_file_that_was_sent_can_be_sent_again_for_ever(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    backend.send(sender, sending(file_key))
    with later(backend, monkeypatch, timedelta(days=1000)):
        assert backend.send(sender, sending(file_key))["type"] == "ack"


def test_tags_of_the_operators_own_do_not_matter(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    tags = {"TagSet": [{"Key": "scan", "Value": "clean"}]}
    backend.s3.put_object_tagging(Bucket=backend.bucket, Key=file_key, Tagging=tags)
    with later(backend, monkeypatch, timedelta(days=2)):
        assert backend.send(sender, sending(file_key))["type"] == "ack"


def test_a_resend_is_pushed_with_the_file_of_the_first(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    first, second = backend.upload(sender, PHOTO), backend.upload(sender, PHOTO, b"another")
    backend.send(sender, sending(first, clientMessageId="c-1"))
    assert backend.send(sender, sending(second, clientMessageId="c-1"))["duplicate"] is True
    assert [frame["fileKey"] for frame in backend.api.received(recipient)] == [first, first]
    assert all(frame["fileUrl"] for frame in backend.api.received(recipient))


def test_a_file_of_a_missed_message_is_replayed_with_a_fresh_link(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    backend.send(sender, sending(file_key))
    message, _ = backend.api.received(backend.catch_up("user456", since=0))
    (row,) = backend.messages()
    assert message.pop("fileUrl").startswith("https://")
    assert message == {"type": "message", **row}


def test_a_replay_asks_s3_for_nothing(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    backend.send(sender, sending(backend.upload(sender, PHOTO)))
    wire.calls.clear()
    backend.catch_up("user456", since=0)
    assert not [call for call in wire.calls if call.startswith("s3.")]


def test_a_file_costs_two_calls_and_a_text_none(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    backend.say(sender, CHAT, "x")
    wire.calls.clear()
    backend.say(sender, CHAT, "x")
    of_a_text = sorted(wire.calls)
    wire.calls.clear()
    backend.send(sender, sending(file_key))
    of_s3 = [call for call in wire.calls if call.startswith("s3.")]
    assert of_s3 == ["s3.HeadObject", "s3.DeleteObjectTagging"]
    assert sorted(set(wire.calls) - set(of_s3)) == sorted(set(of_a_text))


def test_a_container_that_meets_no_file_makes_no_client_for_s3(
    backend: Backend, stack: Any
) -> None:
    (function,) = (each for each in stack.functions.values() if each.code.name == "send_message")
    container = Container("send_message", environment_of(function, stack.region))
    made = container.modules["chat.aws"].s3.cache_info
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "Hello!"}
    reply = container(events.message(backend.connect("user123"), frame))
    assert reply["statusCode"] == 200
    assert made().currsize == 0
    container(events.message(backend.connect("user123"), sending(f"{CHAT}/{FOLDER}/a.jpg")))
    assert made().currsize == 1


def test_a_slow_file_leaves_the_message_less_time(backend: Backend, wire: Network) -> None:
    """Patience is counted from before the file, so that the function ends in time: chat/aws.py."""
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)

    def slow(_: object, carry: Send) -> Any:
        threading.Event().wait(0.6)
        return carry()

    broken = (Fault("s3.HeadObject", slow), Fault("dynamodb.PutItem", throttled))
    wire.calls.clear()
    with wire.broken(*broken):
        assert refused(backend, sender, sending(file_key)) == (503, "unavailable")
    # One attempt of ours, which is two of botocore's.
    assert wire.calls.count("dynamodb.PutItem") == 2


def test_neither_key_nor_name_nor_link_is_logged(
    backend: Backend, wire: Network, logs: Logs
) -> None:
    sender, _ = backend.connect("user123"), backend.connect("user456")
    upload = PHOTO | {"fileName": "diagnosis.jpg"}
    file_key = backend.upload(sender, upload)
    logs()
    backend.send(sender, sending(file_key))
    backend.catch_up("user456", since=0)
    for fault in (s3_answers(400), s3_answers(404), lost_on_its_way):
        with wire.broken(Fault("s3.HeadObject", fault)):
            backend.send(sender, sending(file_key))
    logged = str(logs())
    assert "message sent" in logged
    for secret in ("diagnosis", "X-Amz", file_key.split("/")[1]):
        assert secret not in logged


def test_the_longest_names_and_texts_fit_a_frame(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    file_key = backend.upload(sender, PHOTO | {"fileName": "😀" * 242})
    backend.send(sender, sending(file_key, text="😀" * 4096, clientMessageId="x" * 128))
    (received,) = backend.api.received(recipient)
    # A role's session token is some 1,300 characters long when it is encoded, ours is not.
    token = 1_300
    assert len(json.dumps(received, ensure_ascii=False).encode()) + token < 32_768
    # S3 takes 8 KB of headers and query (RequestHeaderSectionTooLarge); browsers send 1 KB of their
    # own: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    assert len(urlsplit(received["fileUrl"]).query) + token + 1_000 < 8_192
