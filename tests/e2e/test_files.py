"""Files, both ways, with plain HTTP: what goes up comes down, to whom it may concern."""

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

MOST = 26_214_400
ORIGIN = "https://chat.example.com"


def ask_to_upload(here: Device, pair: Pair, **more: object) -> dict[str, Any]:
    frame = {
        "action": "sendfile",
        "chatId": pair.chat_id,
        "fileName": "image.jpg",
        "contentType": "image/jpeg",
    }
    upload = here.ask(frame | more)
    assert upload["type"] == "upload", upload
    return upload


def put(target: Target, upload: dict[str, Any], content: bytes, **changes: str) -> int:
    """Do what the reply says, but for what is changed; an empty text leaves a header out."""
    headers = {**upload["headers"], **changes}
    return request(
        target,
        upload["method"],
        upload["uploadUrl"],
        headers={name: value for name, value in headers.items() if value},
        content=content,
    ).status_code


def upload(target: Target, here: Device, pair: Pair, content: bytes, **more: object) -> str:
    link = ask_to_upload(here, pair, size=len(content), **more)
    assert put(target, link, content) == 200
    file_key: str = link["fileKey"]
    return file_key


def send(here: Device, pair: Pair, file_key: str) -> dict[str, Any]:
    return here.ask({"action": "sendmessage", "chatId": pair.chat_id, "fileKey": file_key})


def ask_to_download(here: Device, chat_id: str, file_key: str) -> dict[str, Any]:
    return here.ask({"action": "sendfile", "chatId": chat_id, "fileKey": file_key})


def get(target: Target, url: str) -> httpx.Response:
    return request(target, "GET", url)


@pytest.mark.parametrize("size", [0, 1, 4096, MOST])
def test_the_bytes_that_come_down_are_those_that_went_up(
    target: Target, pair: Pair, size: int
) -> None:
    photo = (bytes(range(256)) * (size // 256 + 1))[:size]
    with (
        device(target.url, userId=pair.first) as here,
        device(target.url, userId=pair.second) as there,
    ):
        file_key = upload(target, here, pair, photo)
        assert send(here, pair, file_key)["delivered"] == 1
        received = there.receive()
        assert (received["fileKey"], received["fileName"]) == (file_key, "image.jpg")
        assert (received["contentType"], received["size"]) == ("image/jpeg", size)
        links = [received["fileUrl"]]
        links += [
            ask_to_download(each, pair.chat_id, file_key)["fileUrl"] for each in (here, there)
        ]
        for link in links:
            answer = get(target, link)
            assert answer.status_code == 200
            assert answer.content == photo
            assert answer.headers["content-type"] == "image/jpeg"
            assert answer.headers["content-disposition"] == 'attachment; filename="image.jpg"'


def test_who_was_away_gets_the_file_as_well(target: Target, pair: Pair) -> None:
    with device(target.url, userId=pair.first) as here:
        assert send(here, pair, upload(target, here, pair, b"a picture"))["delivered"] == 0
    with device(target.url, userId=pair.second, since="0") as back:
        assert get(target, back.receive()["fileUrl"]).content == b"a picture"
        assert back.receive()["type"] == "synced"


@pytest.mark.parametrize(
    "name",
    ["fäncy image.jpg", "写真 #1.jpg", 'say "hi" %23+&.jpg', "😀👩\u200d👧.jpg", "cafe\u0301"],
)
def test_a_file_comes_down_under_its_own_name(target: Target, pair: Pair, name: str) -> None:
    with device(target.url, userId=pair.first) as here:
        file_key = upload(target, here, pair, b"a picture", fileName=name)
        download = ask_to_download(here, pair.chat_id, file_key)
        assert download["fileName"] == name
        answer = get(target, download["fileUrl"])
        assert answer.content == b"a picture"
        called = re.fullmatch(
            r"attachment; filename=\"[ -~]+\"; filename\*=UTF-8''(.+)",
            answer.headers["content-disposition"],
        )
        assert called
        assert unquote(called[1]) == name


def test_a_byte_more_than_the_maximum_is_refused(target: Target, pair: Pair) -> None:
    with (
        device(target.url, userId=pair.first) as here,
        device(target.url, userId=pair.second) as there,
    ):
        frame = {
            "action": "sendfile",
            "chatId": pair.chat_id,
            "fileName": "image.jpg",
            "contentType": "image/jpeg",
            "size": MOST + 1,
        }
        assert here.ask(frame)["code"] == "too_large"
        # Who does not say how large it is can upload it, but not send it.
        link = ask_to_upload(here, pair)
        assert put(target, link, bytes(MOST + 1)) == 200
        assert send(here, pair, link["fileKey"])["code"] == "too_large"
        here.say(pair.chat_id, "the first that arrives")
        assert there.receive()["text"] == "the first that arrives"


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
)
def test_s3_refuses_what_was_not_signed(
    target: Target, pair: Pair, content: bytes, changes: dict[str, str]
) -> None:
    with device(target.url, userId=pair.first) as here:
        link = ask_to_upload(here, pair, size=9)
        assert put(target, link, content, **changes) == FORBIDDEN
        assert send(here, pair, link["fileKey"])["code"] == "not_found"
        assert put(target, link, b"nine byte") == 200


def test_a_file_that_is_there_is_not_overwritten(target: Target, pair: Pair) -> None:
    with device(target.url, userId=pair.first) as here:
        link = ask_to_upload(here, pair)
        assert put(target, link, b"the first") == 200
        assert put(target, link, b"the second") == 412
        download = ask_to_download(here, pair.chat_id, link["fileKey"])
        assert get(target, download["fileUrl"]).content == b"the first"


def test_an_outsider_gets_neither_link_nor_bytes(target: Target, pair: Pair) -> None:
    mallory = f"{pair.first}-x"
    with (
        device(target.url, userId=pair.first) as here,
        device(target.url, userId=mallory) as outsider,
    ):
        file_key = upload(target, here, pair, b"a picture")
        send(here, pair, file_key)
        own_chat = "#".join(sorted((pair.first, mallory)))
        for chat_id in (pair.chat_id, own_chat):
            for key in (file_key, file_key.replace("#", "%23")):
                error = ask_to_download(outsider, chat_id, key)
                assert (error["type"], error["code"]) == ("error", "forbidden")
                frame = {"action": "sendmessage", "chatId": chat_id, "fileKey": key}
                assert outsider.ask(frame)["code"] == "forbidden"
        # A link to a file of one's own is a link to that alone, and to read alone.
        url = ask_to_download(here, pair.chat_id, file_key)["fileUrl"]
        another = url.replace("image.jpg?", "image.png?")
        assert another != url
        assert get(target, another).status_code == FORBIDDEN
        assert request(target, "PUT", url, content=b"mine").status_code == FORBIDDEN
        assert request(target, "DELETE", url).status_code == FORBIDDEN
        assert get(target, url).content == b"a picture"


def test_a_page_on_an_allowed_origin_may_put_and_get(target: Target, pair: Pair) -> None:
    with device(target.url, userId=pair.first) as here:
        link = ask_to_upload(here, pair)
        # As a browser asks: in lower case, in order, only what it must.
        asks_for = ",".join(sorted(name.lower() for name in link["headers"]))
        preflight = httpx.options(
            link["uploadUrl"],
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": asks_for,
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] in {ORIGIN, "*"}
        assert "PUT" in preflight.headers["access-control-allow-methods"]
        allowed = preflight.headers["access-control-allow-headers"].replace(" ", "").split(",")
        assert set(asks_for.split(",")) <= set(allowed)
        answer = request(
            target,
            "PUT",
            link["uploadUrl"],
            headers={**link["headers"], "Origin": ORIGIN},
            content=b"a picture",
        )
        assert answer.headers["access-control-allow-origin"] in {ORIGIN, "*"}
        download = ask_to_download(here, pair.chat_id, link["fileKey"])
        answer = request(target, "GET", download["fileUrl"], headers={"Origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] in {ORIGIN, "*"}
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert answer.content == b"a picture"


@pytest.fixture(scope="module")
def abroad() -> Iterator[Target]:
    """The backend in another region, which lets browsers show files."""
    flags = ("--region", "eu-west-1", "--parameter-overrides", "ShowFilesInPlace=true")
    with local_runner(*flags) as target:
        yield target


def test_in_another_region_it_is_the_same_with_that_regions_signature(
    abroad: Target, pair: Pair
) -> None:
    with device(abroad.url, userId=pair.first) as here:
        link = ask_to_upload(here, pair, size=9)
        assert put(abroad, link, b"a picture") == 200
        assert send(here, pair, link["fileKey"])["type"] == "ack"
        download = ask_to_download(here, pair.chat_id, link["fileKey"])
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
        answer = get(abroad, download["fileUrl"])
        assert answer.content == b"a picture"
        assert answer.headers["content-disposition"] == 'inline; filename="image.jpg"'


def test_what_could_run_is_not_shown_wherever_it_is(abroad: Target, pair: Pair) -> None:
    with device(abroad.url, userId=pair.first) as here:
        file_key = upload(
            abroad, here, pair, b"PK", fileName="a.zip", contentType="application/zip"
        )
        answer = get(abroad, ask_to_download(here, pair.chat_id, file_key)["fileUrl"])
        assert answer.headers["content-disposition"] == 'attachment; filename="a.zip"'
        assert answer.headers["content-type"] == "application/zip"
