"""Uploads and downloads with plain HTTP."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest

from tests.e2e.storage import FORBIDDEN, request
from tests.support.device import Device, device
from tests.support.runner import Target, local_runner
from tests.support.signatures import signed_headers
from tests.support.users import Pair

MAX_FILE_BYTES = 26_214_400
ORIGIN = "https://chat.example.com"


def ask_to_upload(sender: Device, pair: Pair, **more: object) -> dict[str, Any]:
    frame = {
        "action": "sendfile",
        "chatId": pair.chat_id,
        "fileName": "image.jpg",
        "contentType": "image/jpeg",
    }
    upload = sender.ask(frame | more)
    assert upload["type"] == "upload", upload
    return upload


def put(target: Target, upload: dict[str, Any], content: bytes, **changes: str) -> int:
    """Send the request that an `upload` frame describes, and return its status.

    Args:
        target: The backend.
        upload: The frame.
        content: The bytes of the file.
        changes: Headers to replace; an empty text removes one.
    """
    headers = {**upload["headers"], **changes}
    return request(
        target,
        upload["method"],
        upload["uploadUrl"],
        headers={name: value for name, value in headers.items() if value},
        content=content,
    ).status_code


def upload(target: Target, sender: Device, pair: Pair, content: bytes, **more: object) -> str:
    link = ask_to_upload(sender, pair, size=len(content), **more)
    assert put(target, link, content) == 200
    file_key: str = link["fileKey"]
    return file_key


def send(sender: Device, pair: Pair, file_key: str) -> dict[str, Any]:
    return sender.ask({"action": "sendmessage", "chatId": pair.chat_id, "fileKey": file_key})


def ask_to_download(client: Device, chat_id: str, file_key: str) -> dict[str, Any]:
    return client.ask({"action": "sendfile", "chatId": chat_id, "fileKey": file_key})


def get(target: Target, url: str) -> httpx.Response:
    return request(target, "GET", url)


@pytest.mark.parametrize("size", [0, 1, 4096, MAX_FILE_BYTES])
def test_downloaded_file_equals_the_uploaded_file(target: Target, pair: Pair, size: int) -> None:
    photo = (bytes(range(256)) * (size // 256 + 1))[:size]
    with (
        device(target.url, userId=pair.first) as sender,
        device(target.url, userId=pair.second) as recipient,
    ):
        file_key = upload(target, sender, pair, photo)
        assert send(sender, pair, file_key)["delivered"] == 1
        received = recipient.receive()
        assert (received["fileKey"], received["fileName"]) == (file_key, "image.jpg")
        assert (received["contentType"], received["size"]) == ("image/jpeg", size)
        links = [received["fileUrl"]]
        links += [
            ask_to_download(each, pair.chat_id, file_key)["fileUrl"] for each in (sender, recipient)
        ]
        for link in links:
            answer = get(target, link)
            assert answer.status_code == 200
            assert answer.content == photo
            assert answer.headers["content-type"] == "image/jpeg"
            assert answer.headers["content-disposition"] == 'attachment; filename="image.jpg"'


def test_cache_control_of_the_uploader_does_not_reach_those_who_download(
    target: Target, pair: Pair
) -> None:
    """Browsers add it to a PUT while their cache is off, so the file is not refused for it."""
    with device(target.url, userId=pair.first) as sender:
        link = ask_to_upload(sender, pair)
        forever = {"Cache-Control": "public, max-age=31536000"}
        assert put(target, link, b"a picture", **forever) == 200
        assert send(sender, pair, link["fileKey"])["type"] == "ack"
        found = ask_to_download(sender, pair.chat_id, link["fileKey"])
        assert get(target, found["fileUrl"]).headers["cache-control"] == "private"


def test_catch_up_delivers_a_file(target: Target, pair: Pair) -> None:
    with device(target.url, userId=pair.first) as sender:
        assert send(sender, pair, upload(target, sender, pair, b"a picture"))["delivered"] == 0
    with device(target.url, userId=pair.second, since="0") as back:
        (message,) = back.receive()["messages"]
        assert get(target, message["fileUrl"]).content == b"a picture"
        assert back.receive()["type"] == "synced"


def test_file_is_downloaded_under_its_file_name(target: Target, pair: Pair) -> None:
    name = 'cafe\u0301 写真 "1" #%23+&😀.jpg'
    with device(target.url, userId=pair.first) as sender:
        file_key = upload(target, sender, pair, b"a picture", fileName=name)
        download = ask_to_download(sender, pair.chat_id, file_key)
        assert download["fileName"] == name
        answer = get(target, download["fileUrl"])
        assert answer.content == b"a picture"
        disposition = re.fullmatch(
            r"attachment; filename=\"[ -~]+\"; filename\*=UTF-8''(.+)",
            answer.headers["content-disposition"],
        )
        assert disposition
        assert unquote(disposition[1]) == name


def test_file_over_the_maximum_size_is_refused(target: Target, pair: Pair) -> None:
    with (
        device(target.url, userId=pair.first) as sender,
        device(target.url, userId=pair.second) as recipient,
    ):
        frame = {
            "action": "sendfile",
            "chatId": pair.chat_id,
            "fileName": "image.jpg",
            "contentType": "image/jpeg",
            "size": MAX_FILE_BYTES + 1,
        }
        assert sender.ask(frame)["code"] == "too_large"
        # Without `size` in the frame, the file can be uploaded, but not sent.
        link = ask_to_upload(sender, pair)
        assert put(target, link, bytes(MAX_FILE_BYTES + 1)) == 200
        assert send(sender, pair, link["fileKey"])["code"] == "too_large"
        # The next frame that arrives is of another message.
        sender.say(pair.chat_id, "Hello!")
        assert recipient.receive()["text"] == "Hello!"


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        (b"nine byte", {"Content-Type": "text/html"}),
        (b"nine byte", {"Content-Type": ""}),
        (b"nine byte", {"If-None-Match": ""}),
        (b"nine byte", {"x-amz-tagging": ""}),
        (b"nine byte", {"x-amz-tagging": "state=sent"}),
        (b"nine byte", {"x-amz-acl": "public-read"}),
        (b"ten bytes!", {}),
        (b"", {}),
    ],
    ids=[
        "another content type",
        "no content type",
        "no If-None-Match",
        "no tag",
        "another tag",
        "another header",
        "one byte more",
        "empty",
    ],
)
def test_s3_refuses_an_upload_that_differs_from_the_signed_link(
    target: Target, pair: Pair, content: bytes, changes: dict[str, str]
) -> None:
    with device(target.url, userId=pair.first) as sender:
        link = ask_to_upload(sender, pair, size=9)
        assert put(target, link, content, **changes) == FORBIDDEN
        assert send(sender, pair, link["fileKey"])["code"] == "not_found"
        assert put(target, link, b"nine byte") == 200


def test_second_upload_does_not_replace_the_file(target: Target, pair: Pair) -> None:
    with device(target.url, userId=pair.first) as sender:
        link = ask_to_upload(sender, pair)
        assert put(target, link, b"the first") == 200
        assert put(target, link, b"the second") == 412
        download = ask_to_download(sender, pair.chat_id, link["fileKey"])
        assert get(target, download["fileUrl"]).content == b"the first"


def test_user_outside_the_chat_gets_no_link_and_no_file(target: Target, pair: Pair) -> None:
    mallory = f"{pair.first}-x"
    with (
        device(target.url, userId=pair.first) as sender,
        device(target.url, userId=mallory) as outsider,
    ):
        file_key = upload(target, sender, pair, b"a picture")
        send(sender, pair, file_key)
        own_chat = "#".join(sorted((pair.first, mallory)))
        for chat_id in (pair.chat_id, own_chat):
            for key in (file_key, file_key.replace("#", "%23")):
                error = ask_to_download(outsider, chat_id, key)
                assert (error["type"], error["code"]) == ("error", "forbidden")
                frame = {"action": "sendmessage", "chatId": chat_id, "fileKey": key}
                assert outsider.ask(frame)["code"] == "forbidden"
        # A link gives access to one file, and only to read it.
        url = ask_to_download(sender, pair.chat_id, file_key)["fileUrl"]
        another = url.replace("image.jpg?", "image.png?")
        assert another != url
        assert get(target, another).status_code == FORBIDDEN
        assert request(target, "PUT", url, content=b"changed").status_code == FORBIDDEN
        assert request(target, "DELETE", url).status_code == FORBIDDEN
        assert get(target, url).content == b"a picture"


def test_browser_on_an_allowed_origin_can_put_and_get(target: Target, pair: Pair) -> None:
    with device(target.url, userId=pair.first) as sender:
        link = ask_to_upload(sender, pair)
        # Browsers ask in lower case and in alphabetical order.
        requested_headers = ",".join(sorted(name.lower() for name in link["headers"]))
        preflight = httpx.options(
            link["uploadUrl"],
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": requested_headers,
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] in {ORIGIN, "*"}
        assert "PUT" in preflight.headers["access-control-allow-methods"]
        allowed = preflight.headers["access-control-allow-headers"].replace(" ", "").split(",")
        assert set(requested_headers.split(",")) <= set(allowed)
        answer = request(
            target,
            "PUT",
            link["uploadUrl"],
            headers={**link["headers"], "Origin": ORIGIN},
            content=b"a picture",
        )
        assert answer.headers["access-control-allow-origin"] in {ORIGIN, "*"}
        download = ask_to_download(sender, pair.chat_id, link["fileKey"])
        answer = request(target, "GET", download["fileUrl"], headers={"Origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] in {ORIGIN, "*"}
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert answer.content == b"a picture"


@pytest.fixture(scope="module")
def another_region() -> Iterator[Target]:
    """The backend in another region, with ShowFilesInPlace."""
    flags = ("--region", "eu-west-1", "--parameter-overrides", "ShowFilesInPlace=true")
    with local_runner(*flags) as target:
        yield target


def test_file_links_in_another_region_have_the_signature_of_that_region(
    another_region: Target, pair: Pair
) -> None:
    with device(another_region.url, userId=pair.first) as sender:
        link = ask_to_upload(sender, pair, size=9)
        assert put(another_region, link, b"a picture") == 200
        assert send(sender, pair, link["fileKey"])["type"] == "ack"
        download = ask_to_download(sender, pair.chat_id, link["fileKey"])
        for url in (link["uploadUrl"], download["fileUrl"]):
            query = parse_qs(urlsplit(url).query)
            assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
            assert query["X-Amz-Expires"] == ["900"]
            assert "/eu-west-1/s3/aws4_request" in query["X-Amz-Credential"][0]
        assert signed_headers(link["uploadUrl"]) == [
            "content-length",
            "content-type",
            "host",
            "if-none-match",
            "x-amz-tagging",
        ]
        answer = get(another_region, download["fileUrl"])
        assert answer.content == b"a picture"
        assert answer.headers["content-disposition"] == 'inline; filename="image.jpg"'


def test_archive_is_not_shown_in_place(another_region: Target, pair: Pair) -> None:
    with device(another_region.url, userId=pair.first) as sender:
        file_key = upload(
            another_region, sender, pair, b"PK", fileName="a.zip", contentType="application/zip"
        )
        answer = get(another_region, ask_to_download(sender, pair.chat_id, file_key)["fileUrl"])
        assert answer.headers["content-disposition"] == 'attachment; filename="a.zip"'
        assert answer.headers["content-type"] == "application/zip"
