"""Two users with their devices, a message on its way, and what must be true in the end."""

from typing import Any
from uuid import uuid4

from tests.support import events
from tests.support.backend import Backend
from tests.support.network import Killed

LONG_AGO_MS = 60_000


class Exchange:
    """One user says something to another. Both have two devices, and one more that has died."""

    def __init__(self, backend: Backend) -> None:
        unique = uuid4().hex
        self._backend = backend
        self.first, self.second = f"first-{unique}", f"second-{unique}"
        self.chat_id = f"{self.first}#{self.second}"
        long_ago = events.now() - LONG_AGO_MS
        self.sender = backend.connect(self.first, connected_at=long_ago)
        self.tablet = backend.connect(self.first, connected_at=long_ago)
        self.phone = backend.connect(self.second, connected_at=long_ago)
        self.laptop = backend.connect(self.second, connected_at=long_ago)
        self.dead = backend.connect(self.second, connected_at=long_ago)
        backend.api.open.remove(self.dead)
        # What a client keeps: the answers that it got, and how often it tried.
        self.acks: list[dict[str, Any]] = []
        self.attempts = 0

    def try_once(self, client_message_id: str = "c-1", **more: Any) -> dict[str, Any] | None:
        """Send the message; the answer, or none if the function died."""
        self.attempts += 1
        try:
            answer = self._backend.send(self.sender, self.frame(client_message_id), **more)
        except Killed:
            return None
        finally:
            self._backend.wire.is_dead = False
        if answer["type"] == "ack":
            self.acks.append(answer)
        else:
            assert answer["code"] in {"unavailable", "internal"}, answer
        return answer

    def frame(self, client_message_id: str) -> dict[str, Any]:
        return {
            "action": "sendmessage",
            "chatId": self.chat_id,
            "text": f"text of {client_message_id}",
            "clientMessageId": client_message_id,
        }

    def persist(self, client_message_id: str = "c-1") -> None:
        """Do as a client does that wants its message through: send until it is acknowledged."""
        for _ in range(3):
            answer = self.try_once(client_message_id)
            if answer and answer["type"] == "ack":
                return
        raise AssertionError("never acknowledged, though nothing is wrong any more")

    def rows(self) -> list[dict[str, Any]]:
        return self._backend.chat(self.chat_id)

    def received(self, connection_id: str) -> set[str]:
        return {message["messageId"] for message in self._backend.api.messages(connection_id)}

    def synced(self, connection_id: str) -> dict[str, Any]:
        """Find the last ``synced``; messages that the index showed late come after it."""
        frames = self._backend.api.received(connection_id)
        return [frame for frame in frames if frame["type"] == "synced"][-1]

    def check(self, *, messages: int = 1) -> None:
        """Hold what must hold, whatever went wrong before."""
        rows = self.rows()
        stored = {row["messageId"]: row for row in rows}
        acknowledged = {ack["messageId"] for ack in self.acks}
        # Every acknowledged message is stored exactly once, where the ack says.
        assert len(rows) == len(stored) == messages
        assert acknowledged == stored.keys()
        for ack in self.acks:
            assert stored[ack["messageId"]]["timestamp"] == ack["timestamp"]
        # What was pushed has not vanished, and the sending device got no push.
        for connection_id in (self.tablet, self.phone, self.laptop):
            assert self.received(connection_id) <= stored.keys()
        assert self.received(self.sender) == set()
        # It is there at the next `since`.
        back = self._backend.catch_up(self.second, since=0)
        assert self.received(back) == stored.keys()
        assert self.synced(back)["complete"] is True
        # No live connection was removed.
        for connection_id in (self.sender, self.tablet, self.phone, self.laptop, back):
            assert self._backend.knows(connection_id)

    def check_all_reached(self) -> None:
        """Hold that every connected device has every message, without asking for it."""
        stored = {row["messageId"] for row in self.rows()}
        for connection_id in (self.tablet, self.phone, self.laptop):
            assert self.received(connection_id) == stored
