"""Mallory wants a file to do to its reader what it does not look like."""

import gzip
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.attacks.attacked import AttackedBackend, Users
from tests.support.device import Device


def uploaded(mallory: Device, chat_id: str, content: bytes, **headers: str) -> str:
    """Upload a file with headers that the link does not ask for; return its key."""
    upload = mallory.ask(
        {"action": "sendfile", "chatId": chat_id, "fileName": "a.txt", "contentType": "text/plain"}
    )
    sent: Mapping[str, str] = {**upload["headers"], **headers}
    answer = httpx.put(upload["uploadUrl"], content=content, headers=sent)
    assert answer.status_code == 200
    file_key: str = upload["fileKey"]
    return file_key


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip"},
        {"Content-Language": "tlh"},
        {"Expires": "Thu, 01 Jan 2099 00:00:00 GMT"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_file_that_unpacks_at_its_reader_is_not_handed_out(
    attacked: AttackedBackend, users: Users, headers: dict[str, str]
) -> None:
    """50 KB that a browser would unpack to 50 MB, and the other headers that S3 would pass on."""
    chat_id = f"{users.bob}#{users.mallory}"
    with attacked.device(users.mallory) as mallory, attacked.device(users.bob) as bob:
        file_key = uploaded(mallory, chat_id, gzip.compress(bytes(50_000_000)), **headers)
        frames: list[dict[str, Any]] = [
            {"action": "sendmessage", "chatId": chat_id, "fileKey": file_key},
            {"action": "sendfile", "chatId": chat_id, "fileKey": file_key},
        ]
        for frame in frames:
            answer = mallory.ask(frame)
            assert answer["code"] == "unsupported_type"
            assert "fileUrl" not in json.dumps(answer)
        mallory.say(chat_id, "x")
        assert bob.receive()["text"] == "x"


def test_file_over_the_maximum_is_not_handed_out_by_a_link_either(
    attacked: AttackedBackend, users: Users
) -> None:
    chat_id = f"{users.bob}#{users.mallory}"
    with attacked.device(users.mallory) as mallory:
        file_key = uploaded(mallory, chat_id, bytes(26_214_401))
        frame = {"action": "sendfile", "chatId": chat_id, "fileKey": file_key}
        assert mallory.ask(frame)["code"] == "too_large"
