"""The way that the README shows: the real wscat, in two terminals."""

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.conversation import Conversation
from tests.support.users import Pair

WSCAT = ["npx", "--yes", "wscat@6.1.0"]


class Terminal:
    """A terminal that runs wscat."""

    def __init__(self, screen: int) -> None:
        self._screen = screen
        self._unread = ""
        self._conversation = Conversation()

    def wait_for(self, pattern: str) -> str:
        """Read until the pattern shows, and return its first group."""
        while not (match := re.search(pattern, self._unread)):
            self._unread += os.read(self._screen, 65536).decode()
        self._unread = self._unread[match.end() :]
        return match[1]

    def type(self, line: str) -> None:
        self._conversation.sent(line)
        os.write(self._screen, f"{line}\r".encode())

    def frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.wait_for(r"< (\{.*\})"))
        self._conversation.received(frame)
        return frame


@contextmanager
def wscat(url: str, user_id: str, **query: str) -> Iterator[Terminal]:
    """Run wscat, connected."""
    with wscat_at(f"{url}?{urlencode({'userId': user_id, **query})}") as terminal:
        terminal.wait_for(r"(Connected)")
        yield terminal


@contextmanager
def wscat_at(url: str) -> Iterator[Terminal]:
    screen, keyboard = pty.openpty()
    with subprocess.Popen(
        [*WSCAT, "-c", url],
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        start_new_session=True,
        env=os.environ | {"COLUMNS": "5000"},
    ) as process:
        os.close(keyboard)
        try:
            yield Terminal(screen)
        finally:
            process.terminate()
            process.wait(20)
            os.close(screen)


def test_two_wscat_clients_exchange_a_text_and_a_file(chat_url: str, pair: Pair) -> None:
    with wscat(chat_url, pair.first) as sender, wscat(chat_url, pair.second) as recipient:
        message = {"action": "sendmessage", "chatId": pair.chat_id, "text": "Hello!"}
        sender.type(json.dumps(message))
        assert recipient.frame()["text"] == "Hello!"
        assert sender.frame()["delivered"] == 1

        upload = {
            "action": "sendfile",
            "chatId": pair.chat_id,
            "fileName": "image.jpg",
            "contentType": "image/jpeg",
        }
        sender.type(json.dumps(upload))
        link = sender.frame()
        answer = httpx.put(link["uploadUrl"], headers=link["headers"], content=b"a picture")
        assert answer.status_code == 200
        file = {"action": "sendmessage", "chatId": pair.chat_id, "fileKey": link["fileKey"]}
        sender.type(json.dumps(file))
        assert recipient.frame()["fileKey"] == link["fileKey"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("", "401"),
        ("?userId=a%23b", "400"),
        ("-other?userId=user123", "403"),
        (f"?userId=user123&token={'x' * 5000}", "414"),
    ],
    ids=["no user id", "malformed user id", "another stage", "long URL"],
)
def test_wscat_shows_the_status_of_a_refused_handshake(
    chat_url: str, change: str, status: str
) -> None:
    with wscat_at(f"{chat_url}{change}") as terminal:
        assert terminal.wait_for(r"error: Unexpected server response: (\d+)") == status
