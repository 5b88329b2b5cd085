from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local.template.model import Stack
from tests.support.backend import Backend, Container, Logs
from tests.support.events import message
from tests.support.network import Network
from tests.support.signatures import s3_takes, signed_headers
from tests.support.stack import environment_of

CHAT = "user123#user456"
UPLOAD = {
    "action": "sendfile",
    "chatId": CHAT,
    "fileName": "image.jpg",
    "contentType": "image/jpeg",
}


def link_of(frame: dict[str, Any]) -> tuple[str, str, dict[str, str]]:
    """Parse an upload link: return its host, its path and its query."""
    url = urlsplit(frame["uploadUrl"])
    return str(url.hostname), unquote(url.path), {k: v for k, [v] in parse_qs(url.query).items()}


def refused(backend: Backend, **changes: object) -> dict[str, Any]:
    sender = backend.connect("user123")
    reply = backend.reply_to(sender, UPLOAD | changes)
    error = backend.frame_of(reply)
    assert (error["type"], error["action"]) == ("error", "sendfile")
    return error | {"statusCode": reply["statusCode"]}


def test_upload_frame_has_link_headers_and_file_key(backend: Backend) -> None:
    sender = backend.connect("user123")
    frame = backend.send(sender, UPLOAD | {"chatId": "user456#user123"})
    file_key, url = frame.pop("fileKey"), frame.pop("uploadUrl")
    assert frame == {
        "type": "upload",
        "action": "sendfile",
        "chatId": CHAT,
        "method": "PUT",
        "headers": {
            "Content-Type": "image/jpeg",
            "If-None-Match": "*",
            "x-amz-tagging": "state=unsent",
        },
        "expiresIn": 900,
    }
    chat_id, folder, name = file_key.split("/")
    assert (chat_id, name) == (CHAT, "image.jpg")
    assert str(UUID(folder)) == folder
    assert url.startswith("https://")


def test_upload_link_is_signed_with_version_4_for_15_minutes_on_the_regional_host(
    backend: Backend,
) -> None:
    frame = backend.send(backend.connect("user123"), UPLOAD)
    host, path, query = link_of(frame)
    assert host == f"{backend.bucket}.s3.us-east-1.amazonaws.com"
    assert path == f"/{frame['fileKey']}"
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert query["X-Amz-Expires"] == "900"
    assert "/us-east-1/s3/" in query["X-Amz-Credential"]


def test_s3_refuses_an_upload_that_differs_from_the_signed_link(backend: Backend) -> None:
    frame = backend.send(backend.connect("user123"), UPLOAD | {"size": 48213})
    url, headers = frame["uploadUrl"], {**frame["headers"], "Content-Length": "48213"}
    assert signed_headers(url) == [
        "content-length",
        "content-type",
        "host",
        "if-none-match",
        "x-amz-tagging",
    ]
    assert s3_takes("PUT", url, headers, secret="testing")
    assert not s3_takes("GET", url, headers, secret="testing")
    for changed in (
        {"Content-Length": "48214"},
        {"Content-Type": "text/html"},
        {"If-None-Match": '"an-etag"'},
        {"x-amz-tagging": "state=sent"},
        {"x-amz-acl": "public-read"},
    ):
        assert not s3_takes("PUT", url, headers | changed, secret="testing")
    for missing in headers:
        others = {name: value for name, value in headers.items() if name != missing}
        assert not s3_takes("PUT", url, others, secret="testing")


def test_content_length_is_signed_only_if_the_frame_has_a_size(backend: Backend) -> None:
    sender = backend.connect("user123")
    assert "content-length" not in signed_headers(backend.send(sender, UPLOAD)["uploadUrl"])
    empty = backend.send(sender, UPLOAD | {"size": 0})["uploadUrl"]
    assert "content-length" in signed_headers(empty)


def test_second_upload_does_not_replace_the_file(backend: Backend) -> None:
    upload = backend.send(backend.connect("user123"), UPLOAD)
    backend.put(upload, b"the first")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        backend.put(upload, b"the second")
    stored = backend.s3.get_object(Bucket=backend.bucket, Key=upload["fileKey"])
    assert stored["Body"].read() == b"the first"


def test_uploaded_file_is_tagged_as_unsent(backend: Backend) -> None:
    file_key = backend.upload(backend.connect("user123"), UPLOAD)
    assert backend.tags_of(file_key) == {"state": "unsent"}


@pytest.fixture
def another_region(stack: Stack) -> Iterator[Container]:
    """4-send-file in another region."""
    (function,) = (each for each in stack.functions.values() if each.code.name == "send_file")
    region = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    with mock_aws():
        yield Container("send_file", environment_of(function, stack.region) | region)


def test_upload_link_has_the_host_of_the_functions_region(another_region: Container) -> None:
    sender = SimpleNamespace(user_id="user123")
    another_region.module.authentication.authenticate = lambda _: sender
    frame = Backend.frame_of(another_region(message("AbCdEfGhIjKlMno=", UPLOAD)))
    host, _, query = link_of(frame)
    assert host.endswith(".s3.eu-west-1.amazonaws.com")
    assert "/eu-west-1/s3/" in query["X-Amz-Credential"]


def test_two_uploads_get_two_file_keys(backend: Backend) -> None:
    sender = backend.connect("user123")
    assert backend.send(sender, UPLOAD)["fileKey"] != backend.send(sender, UPLOAD)["fileKey"]


def test_only_members_get_an_upload_link(backend: Backend) -> None:
    for user_id in ("user123", "user456"):
        assert backend.send(backend.connect(user_id), UPLOAD)["type"] == "upload"
    assert backend.send(backend.connect("user789"), UPLOAD)["code"] == "forbidden"


def test_content_type_in_capitals_is_signed_in_lower_case(backend: Backend) -> None:
    frame = backend.send(backend.connect("user123"), UPLOAD | {"contentType": "IMAGE/JPEG"})
    assert frame["headers"]["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("content_type", "signed"),
    [
        ("text/plain; charset=utf-8", "text/plain"),
        ("text/plain ;charset=utf-8", "text/plain"),
        ("audio/webm;codecs=opus", "audio/webm"),
        ("image/jpg", "image/jpeg"),
        ("application/x-zip-compressed", "application/zip"),
        ("audio/x-m4a", "audio/mp4"),
        ("text/csv;header=present", "text/csv"),
    ],
)
def test_content_type_is_signed_by_its_usual_name_and_without_parameters(
    backend: Backend, content_type: str, signed: str
) -> None:
    sender = backend.connect("user123")
    upload = backend.send(sender, UPLOAD | {"contentType": content_type})
    assert upload["headers"]["Content-Type"] == signed
    backend.put(upload)
    frame = {"action": "sendfile", "chatId": CHAT, "fileKey": upload["fileKey"]}
    assert backend.send(sender, frame)["contentType"] == signed


@pytest.mark.parametrize(
    "content_type",
    [
        *("image/heic", "image/heif", "video/quicktime", "audio/mp4", "audio/ogg", "video/webm"),
        *("audio/webm", "text/csv"),
        *(
            f"application/vnd.openxmlformats-officedocument.{kind}"
            for kind in (
                "wordprocessingml.document",
                "spreadsheetml.sheet",
                "presentationml.presentation",
            )
        ),
    ],
)
def test_what_phones_and_offices_produce_is_allowed_by_default(
    backend: Backend, content_type: str
) -> None:
    sender = backend.connect("user123")
    assert backend.send(sender, UPLOAD | {"contentType": content_type})["type"] == "upload"


@pytest.mark.parametrize(
    "content_type",
    ["image/svg+xml", "text/xml", "application/xhtml+xml", "text/javascript", "application/wasm"],
)
def test_what_a_browser_executes_is_not_allowed_by_default(
    backend: Backend, content_type: str
) -> None:
    for variant in (content_type, f"{content_type};charset=utf-8", content_type.upper()):
        assert refused(backend, contentType=variant)["code"] == "unsupported_type"


@pytest.mark.parametrize("content_type", ["text/html", "image/jpeg\n", "image/jpeg,text/html"])
def test_content_type_that_is_not_allowed_is_refused(backend: Backend, content_type: str) -> None:
    error = refused(backend, contentType=content_type)
    assert (error["statusCode"], error["code"]) == (415, "unsupported_type")
    assert "image/jpeg" in error["message"]


def test_size_over_the_maximum_is_refused(backend: Backend) -> None:
    error = refused(backend, size=26214401)
    assert (error["statusCode"], error["code"]) == (413, "too_large")
    assert "26214400" in error["message"]


def test_upload_link_has_the_file_name_in_its_path(backend: Backend) -> None:
    name = "写真 '1' %23#?.jpg"
    frame = backend.send(backend.connect("user123"), UPLOAD | {"fileName": name})
    assert frame["fileKey"].endswith(f"/{name}")
    assert link_of(frame)[1] == f"/{frame['fileKey']}"


def test_misleading_file_name_is_refused(backend: Backend) -> None:
    error = refused(backend, fileName="../a")
    assert (error["statusCode"], error["code"]) == (400, "invalid_request")
    assert "`fileName`" in error["message"]


@pytest.mark.parametrize("missing", ["chatId", "fileName", "contentType"])
def test_missing_field_is_named_in_the_error(backend: Backend, missing: str) -> None:
    sender = backend.connect("user123")
    frame = {name: value for name, value in UPLOAD.items() if name != missing}
    error = backend.send(sender, frame)
    assert (error["code"], error["message"]) == ("invalid_request", f"`{missing}` is missing.")


def test_size_that_is_no_whole_number_is_refused(backend: Backend) -> None:
    assert refused(backend, size=1.5)["code"] == "invalid_request"


def test_upload_link_makes_no_call_in_a_warm_container(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    backend.send(sender, UPLOAD)
    wire.calls.clear()
    backend.send(sender, UPLOAD)
    assert wire.calls == []


def test_upload_logs_no_link_or_file_name(backend: Backend, logs: Logs) -> None:
    sender = backend.connect("user123")
    logs()
    frame = backend.send(sender, UPLOAD | {"fileName": "diagnosis.jpg"})
    logged = str(logs())
    assert "upload link made" in logged
    for secret in ("diagnosis", "X-Amz", frame["fileKey"]):
        assert secret not in logged
