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
    screen, keyboard = pty.openpty()
    with subprocess.Popen(
        [*WSCAT, "-c", f"{url}?{urlencode({'userId': user_id, **query})}"],
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        start_new_session=True,
        env=os.environ | {"COLUMNS": "5000"},
    ) as process:
        os.close(keyboard)
        terminal = Terminal(screen)
        terminal.wait_for(r"(Connected)")
        try:
            yield terminal
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
