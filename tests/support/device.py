"""A user's device: a real WebSocket that speaks JSON, as `docs/asyncapi.yaml` says."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlencode

from tests.support.blocking_client import BlockingClient, connect
from tests.support.conversation import Conversation

TIMEOUT_S = 20


class Device:
    def __init__(self, socket: BlockingClient, timeout_s: float) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._conversation = Conversation()

    def send(self, frame: object) -> None:
        text = frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False)
        self._conversation.sent(text)
        self._socket.send(text)

    def receive(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self._socket.recv(self._timeout_s))
        self._conversation.received(frame)
        return frame

    def ask(self, frame: object) -> dict[str, Any]:
        """Send a frame and return the next that comes."""
        self.send(frame)
        return self.receive()

    def say(self, chat_id: str, text: str) -> dict[str, Any]:
        return self.ask({"action": "sendmessage", "chatId": chat_id, "text": text})


@contextmanager
def open_device(url: str, query: Mapping[str, str], timeout_s: float) -> Iterator[Device]:
    """Connect a device.

    Args:
        url: Where to.
        query: The query string.
        timeout_s: How long it waits for the handshake, and then for each frame, in seconds.
    """
    target = f"{url}?{urlencode(query)}" if query else url
    with connect(target, timeout_s=timeout_s) as socket:
        yield Device(socket, timeout_s)


def device(url: str, **query: str) -> AbstractContextManager[Device]:
    """Connect a device that waits for `TIMEOUT_S`."""
    return open_device(url, query, TIMEOUT_S)
