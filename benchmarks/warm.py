"""The CPU of a warm invocation, and where it goes.

botocore talks to the embedded services of `local` over plain HTTP, in a process of their own, so
only the function's CPU is counted. On AWS there is TLS too, over connections that are kept.
"""

from __future__ import annotations

import cProfile
import pstats
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from benchmarks.calls import MISSED
from benchmarks.measure import Section, Table, interleaved, shown, spread
from benchmarks.measured_backend import LONG_AGO_MS, CharacterCount, store, template, text
from tests.support import events
from tests.support.backend import ROOT, Container
from tests.support.runner import local_runner
from tests.support.stack import environment_of

_BATCH = 5
_LISTENER = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], compression=None) as socket:
    print("open", flush=True)
    for frame in socket:
        pass
"""


def run(*, quick: bool) -> Section:
    """Invoke each function again and again, in turn."""
    log = CharacterCount()
    with (
        local_runner() as target,
        patch.object(sys, "path", [str(ROOT / "shared"), *sys.path]),
        redirect_stdout(log),
    ):
        stack = template()
        made = {}
        for function in stack.functions.values():
            environment = environment_of(function, stack.region) | {
                "AWS_ENDPOINT_URL": target.aws_endpoint,
                "MAX_FRAMES_PER_SECOND": "1000000",
                "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": target.url.replace("ws:", "http:"),
            }
            with patch.dict("os.environ", environment):
                made[function.code.name] = Container(function.code.name, environment)
        acts = _actions(made)
        with _listening(target.url, "listener"), _listening(target.url, "away"):
            interleaved(2, acts, lambda name: bool(acts[name]()))
            samples = interleaved(3 if quick else 31, acts, lambda name: _cpu_ms(acts[name]))
            # All in one thread: the profiler would subtract one's clock from another's.
            profile = _profile(acts["disconnect"], 10 if quick else 200)
    data = {name: spread(found) for name, found in samples.items()}
    rows = [[name, shown(found, 2)] for name, found in data.items()]
    where = [[package, f"{share:.0%}"] for package, share in profile.items()]
    return Section(
        "warm",
        {"cpuMs": data, "profile": profile},
        [
            Table("CPU of a warm invocation", ["action", "CPU ms"], rows),
            Table(
                "Where a disconnect spends it: a call, a log line, a metric",
                ["package", "share"],
                where,
            ),
        ],
    )


@contextmanager
def _listening(url: str, user_id: str) -> Iterator[None]:
    """Connect a user in another process, so that what it receives is not counted."""
    command = [sys.executable, "-c", _LISTENER, f"{url}?userId={user_id}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as device:  # noqa: S603 -- our own
        assert device.stdout is not None  # noqa: S101
        device.stdout.readline()
        try:
            yield
        finally:
            device.terminate()


def _cpu_ms(act: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(_BATCH):
        act()
    return (time.process_time() - began) / _BATCH * 1000


def _actions(made: dict[str, Container]) -> dict[str, Callable[[], object]]:
    unique = uuid4().hex[:8]
    one, other = f"one{unique}", f"other{unique}"
    long_ago = events.now() - LONG_AGO_MS
    sender = events.new_id()

    def connect() -> object:
        return made["on_connect"](events.connect(events.new_id(), {"userId": f"new{uuid4().hex}"}))

    def send(chat_id: str = f"{one}#{other}", **more: Any) -> object:
        reply = made["send_message"](events.message(sender, text(chat_id, **more)))
        assert reply["statusCode"] == 200, reply  # noqa: S101
        return reply

    module = made["send_message"].module
    stored = store(module.messages._dynamodb, one, "away", MISSED)  # noqa: SLF001 -- its client

    # Each moves the receipt forward, and none reaches the newest message.
    times = count(events.now() - 10 * LONG_AGO_MS)

    def signal(**fields: Any) -> object:
        frame = {"action": "sendmessage", "chatId": f"{one}#listener", **fields}
        reply = made["send_message"](events.message(connection_of(one), frame))
        assert reply["statusCode"] == 200, reply  # noqa: S101
        return reply

    @cache
    def connection_of(user_id: str) -> str:
        (device,) = module.connections.of(user_id)
        return str(device.connection_id)

    def read(user_id: str = one, **asked: Any) -> object:
        event = events.message(connection_of(user_id), {"action": "getmessages", **asked})
        reply = made["send_message"](event)
        while reply["statusCode"] == 503:
            # On a busy machine moto may need longer for 500 messages than the client waits.
            reply = made["send_message"](event)
        assert reply["statusCode"] == 200, reply  # noqa: S101
        return reply

    upload = {"action": "sendfile", "chatId": f"{one}#{other}", "fileName": "a.jpg",
              "contentType": "image/jpeg"}  # fmt: skip
    made["on_connect"](events.connect(sender, {"userId": one}, connected_at=long_ago))
    return {
        "connect": connect,
        "disconnect": lambda: made["on_disconnect"](events.disconnect(events.new_id())),
        "text, recipient offline": send,
        "text, one device a side": lambda: send(f"{one}#listener"),
        "text with a `clientMessageId`": lambda: send(clientMessageId=uuid4().hex),
        "`getmessages` with `since`, nothing missed": lambda: read(since=events.now()),
        f"`getmessages` with `since`, {MISSED} messages": lambda: read("away", since=0),
        "`getmessages` with `chatId`, 50 messages": lambda: read(chatId=stored),
        "receipt, one device a side": lambda: signal(read=next(times)),
        "typing, one device a side": lambda: signal(typing=True),
        "upload link": lambda: made["send_file"](events.message(sender, upload)),
    }


def _profile(act: Callable[[], object], times: int) -> dict[str, float]:
    profiler = cProfile.Profile(time.thread_time)
    profiler.enable()
    for _ in range(times):
        act()
    profiler.disable()
    packages: dict[str, float] = defaultdict(float)
    found: dict[tuple[str, int, str], tuple[int, int, float, float, Any]]
    found = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    for (file, _, _), (_, _, own_s, _, _) in found.items():
        packages[_package(file)] += own_s
    total = sum(packages.values()) or 1
    shares = {package: round(own_s / total, 3) for package, own_s in packages.items()}
    return dict(sorted(shares.items(), key=lambda each: -each[1]))


def _package(file: str) -> str:
    parts = Path(file).parts
    for name in ("botocore", "urllib3", "aws_lambda_powertools", "chat"):
        if name in parts:
            return name
    return "built in" if file.startswith("~") else "standard library and others"
