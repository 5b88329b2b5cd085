"""A user's device: a real WebSocket that speaks JSON, as `docs/asyncapi.yaml` says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

from tests.support.conversation import Conversation

TIMEOUT_S = 20


class Device:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._conversation = Conversation()

    def send(self, frame: object) -> None:
        text = frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False)
        self._conversation.sent(text)
        self._socket.send(text)

    def receive(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self._socket.recv(TIMEOUT_S))
        self._conversation.received(frame)
        return frame

    def ask(self, frame: object) -> dict[str, Any]:
        """Send a frame and return the next that comes."""
        self.send(frame)
        return self.receive()

    def say(self, chat_id: str, text: str) -> dict[str, Any]:
        return self.ask({"action": "sendmessage", "chatId": chat_id, "text": text})


@contextmanager
def device(url: str, **query: str) -> Iterator[Device]:
    target = f"{url}?{urlencode(query)}" if query else url
    with connect(target, open_timeout=TIMEOUT_S, compression=None) as socket:
        yield Device(socket)
