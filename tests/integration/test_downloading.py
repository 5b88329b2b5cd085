import os
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from local.template.model import Stack
from tests.support.backend import Backend, Container, Logs
from tests.support.network import Fault, Network, s3_answers, throttled
from tests.support.signatures import s3_takes, signed_headers
from tests.support.stack import environment_of

CHAT = "user123#user456"
FOLDER = "0ed1a8c2-9d5f-4a43-8a8e-000000000001"
UPLOAD = {
    "action": "sendfile",
    "chatId": CHAT,
    "fileName": "image.jpg",
    "contentType": "image/jpeg",
}

type Make = Callable[..., Container]


def sendfile_frame(file_key: str, **more: object) -> dict[str, Any]:
    return {"action": "sendfile", "chatId": CHAT, "fileKey": file_key, **more}


def refused(backend: Backend, sender: str, frame: dict[str, Any]) -> tuple[int, str]:
    reply = backend.reply_to(sender, frame)
    error = backend.frame_of(reply)
    assert (error["type"], error["action"]) == ("error", "sendfile")
    assert "fileUrl" not in error
    return reply["statusCode"], error["code"]


def query_of(url: str) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}


@pytest.fixture(scope="module")
def container(stack: Stack) -> Make:
    """Make a container of a function, with changed variables."""

    @cache
    def make(folder: str, **changes: str) -> Container:
        (function,) = (each for each in stack.functions.values() if each.code.name == folder)
        environment = environment_of(function, stack.region) | changes
        instance = Container(folder, environment)
        # The client for S3 may be made later than the others; it needs its region then.
        with patch.dict(os.environ, environment, clear=True):
            instance.modules["chat.aws"].s3()
        return instance

    return make


def download_link_of(instance: Container, content_type: str, name: str = "a") -> str:
    file = instance.modules["chat.files"].File(f"{CHAT}/{FOLDER}/{name}", content_type, 1)
    url: str = instance.module.files.link(file)
    return url


def test_both_members_get_a_download_link(backend: Backend) -> None:
    for uploader, partner in (("user123", "user456"), ("user456", "user123")):
        file_key = backend.upload(backend.connect(uploader), UPLOAD, b"a picture")
        for user_id in (uploader, partner):
            frame = backend.send(
                backend.connect(user_id), sendfile_frame(file_key, chatId="user456#user123")
            )
            assert frame.pop("fileUrl").startswith("https://")
            assert frame == {
                "type": "download",
                "action": "sendfile",
                "chatId": CHAT,
                "fileKey": file_key,
                "fileName": "image.jpg",
                "contentType": "image/jpeg",
                "size": 9,
                "expiresIn": 900,
            }


def test_user_outside_the_chat_gets_no_download_link(backend: Backend, wire: Network) -> None:
    file_key = backend.upload(backend.connect("user123"), UPLOAD)
    outsider = backend.connect("user789")
    wire.calls.clear()
    for chat_id in (CHAT, "user123#user789", "user456#user789"):
        assert refused(backend, outsider, sendfile_frame(file_key, chatId=chat_id)) == (
            403,
            "forbidden",
        )
    spelled = sendfile_frame(file_key.replace("#", "%23"), chatId="user123#user789")
    assert refused(backend, outsider, spelled) == (403, "forbidden")
    assert "s3.HeadObject" not in wire.calls


def test_download_link_leaves_the_file_unsent(backend: Backend) -> None:
    """S3 still deletes the file in time, unless it is sent."""
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    backend.send(sender, sendfile_frame(file_key))
    assert backend.tags_of(file_key) == {"state": "unsent"}


def test_download_of_a_missing_file_is_not_found(backend: Backend) -> None:
    sender = backend.connect("user123")
    frame = sendfile_frame(f"{CHAT}/{FOLDER}/a.jpg")
    assert refused(backend, sender, frame) == (404, "not_found")


def test_download_link_while_s3_is_overloaded_is_unavailable(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    with wire.broken(Fault("s3.HeadObject", s3_answers(503))):
        answer = refused(backend, sender, sendfile_frame(f"{CHAT}/{FOLDER}/a.jpg"))
    assert answer == (503, "unavailable")


def test_file_over_the_maximum_size_gets_no_download_link(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD, bytes(26_214_401))
    assert refused(backend, sender, sendfile_frame(file_key)) == (413, "too_large")


def test_file_that_was_not_sent_within_a_day_gets_no_download_link(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = backend.connect("user123")
    sent, unsent = backend.upload(sender, UPLOAD), backend.upload(sender, UPLOAD)
    backend.send(sender, {"action": "sendmessage", "chatId": CHAT, "fileKey": sent})
    module = backend.send_file.modules["chat.files"]
    clock = SimpleNamespace(now=lambda zone: datetime.now(zone) + timedelta(days=1))
    monkeypatch.setattr(module, "datetime", clock)
    assert refused(backend, sender, sendfile_frame(unsent)) == (404, "not_found")
    assert backend.send(sender, sendfile_frame(sent))["type"] == "download"


def test_download_with_a_malformed_file_key_is_refused(backend: Backend) -> None:
    frame = sendfile_frame("x" * 1025)
    assert refused(backend, backend.connect("user123"), frame) == (400, "invalid_request")


def test_frame_with_both_file_name_and_file_key_is_refused(backend: Backend) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    assert refused(backend, sender, UPLOAD | sendfile_frame(file_key)) == (
        400,
        "invalid_request",
    )


def test_download_link_is_signed_with_version_4_for_15_minutes_on_the_regional_host(
    backend: Backend,
) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD | {"fileName": "写真 #1%23.jpg"})
    url = backend.send(sender, sendfile_frame(file_key))["fileUrl"]
    query = query_of(url)
    assert urlsplit(url).hostname == f"{backend.bucket}.s3.us-east-1.amazonaws.com"
    assert unquote(urlsplit(url).path) == f"/{file_key}"
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert query["X-Amz-Expires"] == "900"
    assert query["response-cache-control"] == "private"
    assert "/us-east-1/s3/" in query["X-Amz-Credential"]
    assert signed_headers(url) == ["host"]
    assert s3_takes("GET", url, {}, secret="testing")
    assert not s3_takes("PUT", url, {}, secret="testing")


def test_s3_refuses_a_changed_download_link(backend: Backend) -> None:
    sender = backend.connect("user123")
    url = backend.send(sender, sendfile_frame(backend.upload(sender, UPLOAD)))["fileUrl"]
    for old, new in (
        ("attachment", "inline"),
        ("image%2Fjpeg", "text%2Fhtml"),
        ("image.jpg?", "other.jpg?"),
        ("X-Amz-Expires=900", "X-Amz-Expires=90000"),
    ):
        assert old in url
        assert not s3_takes("GET", url.replace(old, new), {}, secret="testing")


@pytest.mark.parametrize("folder", ["send_message", "send_file"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "ap-southeast-2"])
def test_download_link_has_the_host_of_the_functions_region(
    container: Make, folder: str, region: str
) -> None:
    instance = container(folder, AWS_REGION=region, AWS_DEFAULT_REGION=region)
    url = download_link_of(instance, "image/jpeg")
    assert str(urlsplit(url).hostname).endswith(f".s3.{region}.amazonaws.com")
    assert f"/{region}/s3/" in query_of(url)["X-Amz-Credential"]
    assert s3_takes("GET", url, {}, secret="testing")


@pytest.mark.parametrize("folder", ["send_message", "send_file"])
@pytest.mark.parametrize(
    "content_type", ["image/jpeg", "application/pdf", "text/plain", "text/html", "image/svg+xml"]
)
def test_no_file_is_shown_in_place_by_default(
    container: Make, folder: str, content_type: str
) -> None:
    query = query_of(download_link_of(container(folder), content_type))
    assert query["response-content-disposition"] == 'attachment; filename="a"'
    assert query["response-content-type"] == content_type


@pytest.mark.parametrize("folder", ["send_message", "send_file"])
@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        ("image/jpeg", True),
        ("image/png", True),
        ("image/gif", True),
        ("image/webp", True),
        ("image/avif", True),
        ("application/pdf", True),
        ("text/plain", True),
        ("image/svg+xml", False),
        ("text/html", False),
        ("text/xml", False),
        ("application/xhtml+xml", False),
        ("application/zip", False),
        ("video/mp4", False),
        ("application/octet-stream", False),
    ],
)
def test_deployment_can_show_types_without_scripts_in_place(
    container: Make, folder: str, content_type: str, shown: bool
) -> None:
    query = query_of(download_link_of(container(folder, SHOW_FILES_IN_PLACE="true"), content_type))
    kind = "inline" if shown else "attachment"
    assert query["response-content-disposition"] == f'{kind}; filename="a"'
    assert query["response-content-type"] == content_type


def test_download_link_has_the_file_name(container: Make) -> None:
    name = '写真 "100%".jpg'
    query = query_of(download_link_of(container("send_file"), "image/jpeg", name))
    _, _, file_name = query["response-content-disposition"].partition("filename*=UTF-8''")
    assert unquote(file_name) == name


def test_download_link_makes_one_call_to_s3(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD)
    wire.calls.clear()
    backend.send(sender, sendfile_frame(file_key))
    assert wire.calls == ["s3.HeadObject"]


def test_download_logs_no_file_key_name_or_link(backend: Backend, logs: Logs) -> None:
    sender = backend.connect("user123")
    file_key = backend.upload(sender, UPLOAD | {"fileName": "diagnosis.jpg"})
    logs()
    backend.send(sender, sendfile_frame(file_key))
    logged = str(logs())
    assert "download link made" in logged
    for secret in ("diagnosis", "X-Amz", file_key.split("/")[1]):
        assert secret not in logged


def test_failed_lookup_of_the_user_is_unavailable(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    with wire.broken(Fault("dynamodb.GetItem", throttled)):
        answer = refused(backend, sender, sendfile_frame(f"{CHAT}/{FOLDER}/a.jpg"))
    assert answer == (503, "unavailable")
