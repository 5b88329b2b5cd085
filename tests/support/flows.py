"""Every flow that there is, with something in it that must not be told."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.support import events
from tests.support.backend import Backend
from tests.support.embedded_storage import grow_old

CHAT = "user123#user456"
TEXT = "the secret of the text"
FILE_NAME = "the secret of the name.jpg"
LONG_AGO = events.now() - 60_000


@dataclass
class Flows:
    """One after the other, on one backend.

    Attributes:
        secrets: What was said, and must be found in no log. More with every flow.
    """

    backend: Backend
    secrets: set[str] = field(default_factory=lambda: {TEXT, FILE_NAME})

    def run(self) -> None:
        self.connect_one_too_many()
        self.chat()
        self.send_a_file()
        self.catch_up()
        self.signal()
        self.send_from_a_server()
        self.be_refused()
        self.flood()
        self.leave()

    def connect_one_too_many(self) -> None:
        limit = self.backend.on_connect.module.connection_limit
        usual, limit._max_connections = limit._max_connections, 2
        try:
            for number in range(3):
                self.backend.connect("user789", connected_at=LONG_AGO + number)
        finally:
            limit._max_connections = usual

    def chat(self) -> None:
        sender = self.backend.connect("user123")
        self.backend.connect("user456")
        gone = self.backend.connect("user456", connected_at=LONG_AGO)
        self.backend.api.open.remove(gone)
        self.backend.say(sender, CHAT, TEXT)
        for _ in range(2):
            self.backend.say(sender, CHAT, TEXT, clientMessageId="c-1")

    def send_a_file(self) -> None:
        sender = self.backend.connect("user123")
        wanted = {"fileName": FILE_NAME, "contentType": "image/jpeg", "size": 9}
        upload = self._ask(sender, {"action": "sendfile", "chatId": CHAT, **wanted})
        self.backend.put(upload)
        file = {"chatId": CHAT, "fileKey": upload["fileKey"]}
        for _ in range(2):
            self._ask(sender, {"action": "sendmessage", "text": TEXT, **file})
            self._ask(sender, {"action": "sendfile", **file})
            grow_old(self.backend.bucket, upload["fileKey"], timedelta(days=2))

    def catch_up(self) -> None:
        back = self.backend.catch_up("user456", since=0)
        self._ask(back, {"action": "getmessages", "since": 0})
        for message in self.backend.api.messages(back):
            self._note(message)
        for message in self._ask(back, {"action": "getmessages", "chatId": CHAT})["messages"]:
            self._note(message)

    def signal(self) -> None:
        reader, sender = self.backend.connect("user456"), self.backend.connect("user123")
        sent = self.backend.say(sender, CHAT, TEXT)
        for fields in ({"received": sent["timestamp"]}, {"read": 0}, {"typing": True}):
            self._ask(reader, {"action": "sendmessage", "chatId": CHAT, **fields})

    def send_from_a_server(self) -> None:
        for sender in ("user123", "user789", TEXT):
            fields = {"senderId": sender, "chatId": CHAT, "text": TEXT, "clientMessageId": "c-2"}
            self._note(self.backend.send_message({"send": fields}))

    def be_refused(self) -> None:
        stranger = self.backend.connect("user789")
        wrong: list[object] = [
            {"action": "sendmessage", "chatId": CHAT, "text": TEXT},
            {"action": "sendmessage", "chatId": TEXT, "text": TEXT},
            {"action": "sendmessage", "chatId": CHAT, "text": TEXT, "fileKey": FILE_NAME},
            {"action": "sendfile", "chatId": CHAT, "fileName": FILE_NAME, "contentType": TEXT},
            {"action": "getmessages", "chatId": TEXT},
            {"action": "getmessages", "since": TEXT},
            TEXT,
        ]
        for frame in wrong:
            for function in (self.backend.send_message, self.backend.send_file):
                function(events.message(stranger, frame))
                function(events.message(events.new_id(), frame))
        for query in ({}, {"userId": TEXT}, {"userId": "user123", "since": TEXT, "token": TEXT}):
            headers = {"Sec-WebSocket-Protocol": f"bearer, {TEXT}"}
            self.backend.on_connect(events.connect(events.new_id(), query, headers=headers))

    def flood(self) -> None:
        limit = self.backend.send_message.module.rate_limit
        usual, limit._frames_per_s = limit._frames_per_s, 1
        try:
            flooding = self.backend.connect("user123")
            while flooding not in self.backend.api.closed:
                self.backend.send(flooding, {"action": "getmessages"})
        finally:
            limit._frames_per_s = usual

    def leave(self) -> None:
        for connection_id in self.backend.connections():
            self.backend.on_disconnect(events.disconnect(connection_id))

    def _ask(self, connection_id: str, frame: dict[str, Any]) -> dict[str, Any]:
        answer = self.backend.send(connection_id, frame)
        self._note(answer)
        return answer

    def _note(self, frame: dict[str, Any]) -> None:
        for name in ("fileKey", "uploadUrl", "fileUrl"):
            if name in frame:
                self.secrets.add(frame[name])
                self.secrets.update(re.findall("X-Amz-Signature=([0-9a-f]+)", frame[name]))
