import os
from collections.abc import Callable
from functools import cache
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
PHOTO = {
    "action": "sendfile",
    "chatId": CHAT,
    "fileName": "image.jpg",
    "contentType": "image/jpeg",
}

type Make = Callable[..., Container]


def asking(file_key: str, **more: object) -> dict[str, Any]:
    return {"action": "sendfile", "chatId": CHAT, "fileKey": file_key, **more}


def refused(backend: Backend, asker: str, frame: dict[str, Any]) -> tuple[int, str]:
    reply = backend.reply_to(asker, frame)
    error = backend.frame_of(reply)
    assert (error["type"], error["action"]) == ("error", "sendfile")
    assert "fileUrl" not in error
    return reply["statusCode"], error["code"]


def query_of(url: str) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}


@pytest.fixture(scope="module")
def container(stack: Stack) -> Make:
    """Make a function with other variables."""

    @cache
    def make(folder: str, **changes: str) -> Container:
        (function,) = (each for each in stack.functions.values() if each.code.name == folder)
        environment = environment_of(function, stack.region) | changes
        made = Container(folder, environment)
        # Its client for S3 may be made later than the others, and must find its region then.
        with patch.dict(os.environ, environment, clear=True):
            made.modules["chat.aws"].s3()
        return made

    return make


def link_made_by(made: Container, content_type: str, name: str = "a") -> str:
    file = made.modules["chat.files"].File(f"{CHAT}/{FOLDER}/{name}", content_type, 1)
    url: str = made.module.files.link(file)
    return url


def test_either_side_gets_a_fresh_link(backend: Backend) -> None:
    for uploader, other in (("user123", "user456"), ("user456", "user123")):
        file_key = backend.upload(backend.connect(uploader), PHOTO, b"a picture")
        for user_id in (uploader, other):
            frame = backend.send(
                backend.connect(user_id), asking(file_key, chatId="user456#user123")
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


def test_no_one_else_gets_one(backend: Backend, wire: Network) -> None:
    file_key = backend.upload(backend.connect("user123"), PHOTO)
    outsider = backend.connect("user789")
    wire.calls.clear()
    for chat_id in (CHAT, "user123#user789", "user456#user789"):
        assert refused(backend, outsider, asking(file_key, chatId=chat_id)) == (403, "forbidden")
    spelled = asking(file_key.replace("#", "%23"), chatId="user123#user789")
    assert refused(backend, outsider, spelled) == (403, "forbidden")
    assert "s3.HeadObject" not in wire.calls


def test_a_link_leaves_the_file_as_it_is(backend: Backend) -> None:
    """To look at an upload is not to send it: S3 still deletes it in time."""
    sender = backend.connect("user123")
    file_key = backend.upload(sender, PHOTO)
    backend.send(sender, asking(file_key))
    assert backend.tags_of(file_key) == {"state": "unsent"}


def test_a_file_that_is_not_there_is_not_found(backend: Backend) -> None:
    asker = backend.connect("user123")
    for file_key in (f"{CHAT}/{FOLDER}/a.jpg", f"{CHAT}/", f"{CHAT}/{FOLDER}/"):
        assert refused(backend, asker, asking(file_key)) == (404, "not_found")


def test_a_busy_s3_is_unavailable(backend: Backend, wire: Network) -> None:
    asker = backend.connect("user123")
    with wire.broken(Fault("s3.HeadObject", s3_answers(503))):
        answer = refused(backend, asker, asking(f"{CHAT}/{FOLDER}/a.jpg"))
    assert answer == (503, "unavailable")


@pytest.mark.parametrize("file_key", ["", None, 7, ["x"], "x" * 1025])
def test_what_is_no_key_is_refused(backend: Backend, file_key: Any) -> None:
    assert refused(backend, backend.connect("user123"), asking(file_key)) == (
        400,
        "invalid_request",
    )


def test_up_and_down_at_once_is_refused(backend: Backend) -> None:
    asker = backend.connect("user123")
    file_key = backend.upload(asker, PHOTO)
    assert refused(backend, asker, PHOTO | asking(file_key)) == (400, "invalid_request")


def test_a_link_is_signed_with_version_4_for_15_minutes_on_the_regional_host(
    backend: Backend,
) -> None:
    asker = backend.connect("user123")
    file_key = backend.upload(asker, PHOTO | {"fileName": "写真 #1%23.jpg"})
    url = backend.send(asker, asking(file_key))["fileUrl"]
    query = query_of(url)
    assert urlsplit(url).hostname == f"{backend.bucket}.s3.us-east-1.amazonaws.com"
    assert unquote(urlsplit(url).path) == f"/{file_key}"
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert query["X-Amz-Expires"] == "900"
    assert "/us-east-1/s3/" in query["X-Amz-Credential"]
    assert signed_headers(url) == ["host"]
    assert s3_takes("GET", url, {}, secret="testing")
    assert not s3_takes("PUT", url, {}, secret="testing")


def test_nobody_can_change_what_a_link_says(backend: Backend) -> None:
    asker = backend.connect("user123")
    url = backend.send(asker, asking(backend.upload(asker, PHOTO)))["fileUrl"]
    for was, would_be in (
        ("attachment", "inline"),
        ("image%2Fjpeg", "text%2Fhtml"),
        ("image.jpg?", "other.jpg?"),
        ("X-Amz-Expires=900", "X-Amz-Expires=90000"),
    ):
        assert was in url
        assert not s3_takes("GET", url.replace(was, would_be), {}, secret="testing")


@pytest.mark.parametrize("folder", ["send_message", "send_file"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "ap-southeast-2"])
def test_the_host_is_that_of_the_functions_region(
    container: Make, folder: str, region: str
) -> None:
    made = container(folder, AWS_REGION=region, AWS_DEFAULT_REGION=region)
    url = link_made_by(made, "image/jpeg")
    assert str(urlsplit(url).hostname).endswith(f".s3.{region}.amazonaws.com")
    assert f"/{region}/s3/" in query_of(url)["X-Amz-Credential"]
    assert s3_takes("GET", url, {}, secret="testing")


@pytest.mark.parametrize("folder", ["send_message", "send_file"])
@pytest.mark.parametrize(
    "content_type", ["image/jpeg", "application/pdf", "text/plain", "text/html", "image/svg+xml"]
)
def test_nothing_is_shown_in_place(container: Make, folder: str, content_type: str) -> None:
    query = query_of(link_made_by(container(folder), content_type))
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
def test_where_the_deployment_allows_it_what_runs_nothing_is_shown(
    container: Make, folder: str, content_type: str, shown: bool
) -> None:
    query = query_of(link_made_by(container(folder, SHOW_FILES_IN_PLACE="true"), content_type))
    kind = "inline" if shown else "attachment"
    assert query["response-content-disposition"] == f'{kind}; filename="a"'
    assert query["response-content-type"] == content_type


@pytest.mark.parametrize(
    "name", ['say "hi".txt', "naïve.txt", "写真.jpg", "😀👩\u200d👧.png", "100%.txt"]
)
def test_a_link_carries_the_files_own_name(container: Make, name: str) -> None:
    query = query_of(link_made_by(container("send_file"), "image/jpeg", name))
    _, _, called = query["response-content-disposition"].partition("filename*=UTF-8''")
    assert unquote(called) == name


def test_a_link_costs_one_look_at_the_file(backend: Backend, wire: Network) -> None:
    asker = backend.connect("user123")
    file_key = backend.upload(asker, PHOTO)
    wire.calls.clear()
    backend.send(asker, asking(file_key))
    assert wire.calls == ["s3.HeadObject"]


def test_neither_key_nor_name_nor_link_is_logged(backend: Backend, logs: Logs) -> None:
    asker = backend.connect("user123")
    file_key = backend.upload(asker, PHOTO | {"fileName": "diagnosis.jpg"})
    logs()
    backend.send(asker, asking(file_key))
    logged = str(logs())
    assert "download link made" in logged
    for secret in ("diagnosis", "X-Amz", file_key.split("/")[1]):
        assert secret not in logged


def test_a_connection_that_cannot_be_looked_up_gets_no_link(
    backend: Backend, wire: Network
) -> None:
    asker = backend.connect("user123")
    with wire.broken(Fault("dynamodb.GetItem", throttled)):
        answer = refused(backend, asker, asking(f"{CHAT}/{FOLDER}/a.jpg"))
    assert answer == (503, "unavailable")
