"""Which AWS calls each action makes, how many of them in sequence, and what units they take."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from benchmarks.measure import Section, Table
from benchmarks.measured_backend import MeasuredBackend, measured_backend, text
from benchmarks.wire import depth
from tests.support import events

# Longer than from the beginning of one of several parallel calls to that of the next, on a busy
# machine too.
_QUIET_S = 0.2
MISSED = 500


def run(*, quick: bool) -> Section:
    """Record each action once: nothing here is left to chance."""
    del quick
    data: dict[str, dict[str, Any]] = {}
    with measured_backend() as measured:
        for name, act in _actions(measured).items():
            measured.wire.forget()
            measured.wire.quiet_s = _QUIET_S
            characters = measured.log.characters
            answer = act()
            if isinstance(answer, dict) and "code" in answer:
                raise RuntimeError(f"{name}: {answer['code']}")
            measured.wire.quiet_s = 0
            log = list(measured.wire.log)
            operations = Counter(call.operation for call in log)
            data[name] = {
                "calls": dict(operations),
                "deep": depth(log),
                "reads": sum(call.reads for call in log),
                "writes": sum(call.writes for call in log),
                "pushes": operations["apigatewaymanagementapi.PostToConnection"],
                "pushBytes": sum(call.sent for call in log),
                "replyBytes": len(json.dumps(answer)) if _is_frame(answer) else 0,
                "s3": sum(count for each, count in operations.items() if each[:2] == "s3"),
                "logBytes": measured.log.characters - characters,
            }
    columns = ["action", "calls", "steps deep", "read units", "write units", "log bytes"]
    rows = [
        [
            name,
            ", ".join(_short(each, count) for each, count in found["calls"].items()) or "none",
            str(found["deep"]),
            f"{found['reads']:g}",
            str(found["writes"]),
            str(found["logBytes"]),
        ]
        for name, found in data.items()
    ]
    return Section("calls", data, [Table("What each action asks of AWS", columns, rows)])


def _is_frame(answer: object) -> bool:
    return isinstance(answer, dict) and "type" in answer


def _short(operation: str, count: int) -> str:
    name = operation.partition(".")[2]
    return f"{count} {name}" if count > 1 else name


def _actions(measured: MeasuredBackend) -> dict[str, Callable[[], object]]:
    """Prepare what each action needs, and give the actions."""
    backend = measured.backend
    (one,) = measured.open("one")
    measured.open("other")
    chat = "one#other"
    (first, _) = measured.open("first", 2)
    measured.open("second", 2)
    (away,) = measured.open("lonely")
    (leaving,) = measured.open("leaving")
    many = measured.open("many", 16)[0]
    measured.open("more", 16)
    upload = {
        "action": "sendfile",
        "chatId": chat,
        "fileName": "a.jpg",
        "contentType": "image/jpeg",
    }
    file_key = backend.upload(one, upload)
    # Warm: who is behind each connection is known, and each thread has started.
    for connection_id, chat_id in (
        (one, chat), (first, "first#second"), (away, "lonely#other"), (many, "many#more"),
    ):  # fmt: skip
        backend.say(connection_id, chat_id, "warm up")
    measured.notifying.say(away, "lonely#other", "warm up")
    backend.send(one, {"action": "sendfile", "chatId": chat, "fileKey": file_key})
    backend.send(one, {"action": "sendmessage", "chatId": chat, "typing": True})

    stored = measured.store("lonely", "gone", MISSED)
    devices = {"one": one, "gone": measured.open("gone")[0]}
    for connection_id in devices.values():
        backend.send(connection_id, {"action": "getmessages", "since": events.now()})

    def catch_up(user_id: str) -> object:
        return backend.send(devices[user_id], {"action": "getmessages", "since": 0})

    def replay() -> None:
        measured.wire.queue[:] = measured.wire.queue[-1:]
        backend.run_queue()

    return {
        "connect": lambda: backend.connect("new"),
        "connect with `since`": lambda: backend.connect("gone", since="0"),
        f"the catch-up then, {MISSED} messages": replay,
        f"`getmessages` with `since`, {MISSED} messages": lambda: catch_up("gone"),
        "`getmessages` with `since`, nothing missed": lambda: catch_up("one"),
        "`getmessages` with `chatId`, 50 messages": lambda: backend.send(
            away, {"action": "getmessages", "chatId": stored}
        ),
        "disconnect": lambda: backend.on_disconnect(events.disconnect(leaving)),
        "text, one device a side": lambda: backend.send(one, text(chat)),
        "text with a `clientMessageId`": lambda: backend.send(
            one, text(chat, clientMessageId="c-1")
        ),
        "the same, sent again": lambda: backend.send(one, text(chat, clientMessageId="c-1")),
        "text, two devices a side": lambda: backend.send(first, text("first#second")),
        "text, 16 devices a side": lambda: backend.send(many, text("many#more")),
        "text, recipient offline": lambda: backend.send(away, text("gone2#lonely")),
        "text, recipient offline, with a topic": lambda: measured.notifying.send(
            away, text("gone2#lonely")
        ),
        "text of a server, one device": lambda: backend.send_message(
            {"send": text("lonely#server") | {"senderId": "server"}}
        ),
        "file, one device a side": lambda: backend.send(one, text(chat, fileKey=file_key)),
        "receipt, one device a side": lambda: backend.send(
            one, {"action": "sendmessage", "chatId": chat, "read": 1}
        ),
        "typing, one device a side": lambda: backend.send(
            one, {"action": "sendmessage", "chatId": chat, "typing": True}
        ),
        "upload link": lambda: backend.send(one, upload),
        "download link": lambda: backend.send(
            one, {"action": "sendfile", "chatId": chat, "fileKey": file_key}
        ),
        "text, cold container": lambda: _cold(measured, first, text("first#second")),
        "upload link, cold container": lambda: _cold(
            measured, first, upload | {"chatId": "first#second"}
        ),
    }


def _cold(measured: MeasuredBackend, connection_id: str, frame: object) -> object:
    measured.restart()
    return measured.backend.send(connection_id, frame)
