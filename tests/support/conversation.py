"""One connection, held against `docs/asyncapi.yaml` in both directions."""

import json
from typing import Any

from tests.support import document

_DONE = {"ack", "history", "upload", "download"}
_PUSHED = {"message", "messages", "receipt", "synced", "typing"}


class Conversation:
    """What went over one connection.

    Everything received must be in the document. A frame that is not must be answered by an error,
    and one that is, never with ``invalid_request``. Answers to frames that are under way together
    may come in any order, so it is their numbers that are held against each other; with one frame
    at a time, as `Device.ask` sends them, that is exact.
    """

    def __init__(self) -> None:
        self._right = 0
        self._wrong = 0
        self._catch_ups = 0

    def sent(self, text: str) -> None:
        if document.allows(text):
            self._right += 1
            self._catch_ups += "since" in json.loads(text)
        else:
            self._wrong += 1

    def received(self, frame: dict[str, Any]) -> None:
        document.expect_known(frame)
        kind = frame.get("type")
        # The `synced` of a handshake is pushed.
        is_answer = kind == "synced" and self._catch_ups > 0
        self._catch_ups -= is_answer
        if kind in _DONE or is_answer:
            assert self._right, f"what the document does not allow was done: {frame}"
            self._right -= 1
        elif frame.get("code") == "invalid_request" or frame.get("message") == "Forbidden":
            assert self._wrong, f"what the document allows was refused: {frame}"
            self._wrong -= 1
        elif kind not in _PUSHED:
            # An error that says nothing of the form. A wrong frame may get one as well.
            if self._wrong:
                self._wrong -= 1
            else:
                self._right -= 1
