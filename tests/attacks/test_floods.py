"""Mallory tries to wear the others out. Bounded: a laptop runs this, and no flood is endless."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.attacks.attacked import AttackedBackend, Users
from tests.support.device import TIMEOUT_S, Device, device
from tests.support.runner import local_runner

MAX_CONNECTIONS = 20
"""As the template has it."""


def test_flood_of_connections_exceeds_no_limit_and_disturbs_nobody(
    open_backend: AttackedBackend, users: Users
) -> None:
    """One user's connections stay few, so a message to that user stays a few pushes."""
    with (
        contextlib.ExitStack() as opened,
        ThreadPoolExecutor(8) as flood,
        open_backend.device(users.bob) as bob,
    ):

        def one(_: int) -> Device:
            return opened.enter_context(open_backend.device(users.mallory))

        oldest = one(0)
        # Those that came at once are counted by those that come next.
        list(flood.map(one, range(3 * MAX_CONNECTIONS)))
        for number in range(4):
            one(number)
        delivered = bob.say(f"{users.bob}#{users.mallory}", "x")["delivered"]
        assert 1 <= delivered <= MAX_CONNECTIONS
        with pytest.raises(ConnectionClosed):
            oldest.receive()


def test_flood_of_chats_disturbs_nobody(attacked: AttackedBackend, users: Users) -> None:
    """Each costs what any message does, nothing is kept for a chat, and the others go on."""
    with (
        attacked.device(users.mallory) as mallory,
        attacked.device(users.alice) as alice,
        attacked.device(users.bob) as bob,
    ):
        for number in range(100):
            mallory.send(
                {"action": "sendmessage", "chatId": f"{users.mallory}#n{number}", "text": "x"}
            )
            mallory.send({"action": "sendmessage", "chatId": f"{number}#{number}", "text": "x"})
        began = time.monotonic()
        assert alice.say(users.chat_id, "still here")["delivered"] == 1
        assert time.monotonic() - began < TIMEOUT_S / 2
        assert bob.receive()["text"] == "still here"
        answers = [mallory.receive() for _ in range(200)]
        assert sum(answer["type"] == "ack" for answer in answers) == 100
        assert sum(answer.get("code") == "invalid_request" for answer in answers) == 100


def test_flood_of_frames_refuses_no_handshake(users: Users) -> None:
    """Frames use up the stage's throttle, and every connection is still accepted."""
    with local_runner(*_throttled(ThrottlingRateLimit=1, ThrottlingBurstLimit=20)) as runner:
        backend = AttackedBackend(runner.url, None)
        with backend.device(users.mallory) as mallory:
            for _ in range(15):
                while mallory.ask({"action": "sendfile"}).get("message") != "Too Many Requests":
                    pass
                with backend.device(users.alice):
                    pass


def test_flooding_connection_is_closed_and_disturbs_nobody(users: Users) -> None:
    """Per container 20 frames at once are answered and 20 refused; then it is closed."""
    with local_runner(*_throttled(MaxFramesPerSecond=1)) as runner:
        backend = AttackedBackend(runner.url, None)
        with (
            backend.device(users.mallory) as mallory,
            ThreadPoolExecutor(1) as flood,
            backend.device(users.alice) as alice,
            backend.device(users.bob) as bob,
        ):

            def send_until_closed() -> list[dict[str, object]]:
                answers: list[dict[str, object]] = []
                with contextlib.suppress(ConnectionClosed):
                    for _ in range(1_000):
                        for _ in range(4):
                            mallory.send({"action": "getmessages"})
                        answers += [mallory.receive() for _ in range(4)]
                return answers

            flooding = flood.submit(send_until_closed)
            for number in range(10):
                assert alice.say(users.chat_id, str(number))["delivered"] >= 1
                assert bob.receive()["text"] == str(number)
                with backend.device(users.alice):
                    pass
            answers = flooding.result()
            assert len(answers) < 4_000
            assert {each["code"] for each in answers} == {"invalid_request", "unavailable"}
            # The flood was one connection's: the user can come back.
            with backend.device(users.mallory) as again:
                assert again.ask({"action": "getmessages"})["code"] == "invalid_request"


def test_flood_of_catch_ups_replays_one_at_a_time(
    open_backend: AttackedBackend, users: Users
) -> None:
    """30 frames at once ask for 40 messages, which take several frames; several containers run."""
    with (
        open_backend.device(users.alice) as alice,
        open_backend.device(users.bob) as bob,
        open_backend.device(users.mallory) as mallory,
    ):
        chat_id = f"{users.alice}#{users.mallory}"
        sent = [alice.say(chat_id, "😀" * 2_000)["messageId"] for _ in range(40)]
        for _ in sent:
            mallory.receive()
        ask = {"action": "getmessages", "since": 0}
        count = 0
        while count < len(sent):  # until the index shows all
            frame = mallory.ask(ask)
            while frame["type"] == "messages":
                frame = mallory.receive()
            count = frame["count"]
        for _ in range(30):
            mallory.send(ask)
        replayed: list[str] = []
        ends: list[str] = []
        while len(ends) < 30:
            frame = mallory.receive()
            if frame["type"] == "messages":
                replayed += [message["messageId"] for message in frame["messages"]]
            else:
                ends.append(frame.get("code", frame["type"]))
        assert set(ends) == {"synced", "unavailable"}
        # Two at a time would have mixed their messages.
        assert replayed == sent * ends.count("synced")
        assert alice.say(users.chat_id, "still here")["delivered"] == 1
        assert bob.receive()["text"] == "still here"


def _throttled(**parameters: int) -> list[str]:
    return ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]


@contextlib.contextmanager
def sleeper(attacked: AttackedBackend, user_id: str) -> Iterator[str]:
    """Connect a device that reads nothing but an answer with its connection id; yield that."""
    host, _, port = attacked.url.removeprefix("ws://").partition("/")[0].partition(":")
    with socket.socket() as raw:
        # Set before the connection is made, or the kernel takes in megabytes.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((host, int(port)))
        url = f"{attacked.url}?{urlencode({'userId': user_id})}"
        with connect(
            url, sock=raw, open_timeout=TIMEOUT_S, close_timeout=0, compression=None, max_queue=1
        ) as device:
            device.send("{}")  # API Gateway refuses a frame without an action
            yield json.loads(device.recv(TIMEOUT_S))["connectionId"]


def fill_buffers(attacked: AttackedBackend, connection_id: str) -> None:
    """Push to a connection that is not read until API Gateway takes no more for it."""
    url = f"{attacked.url.replace('ws://', 'http://')}/@connections/{quote(connection_id, safe='')}"
    with httpx.Client(headers={"Authorization": "AWS4-HMAC-SHA256"}) as client:
        for size in (128 * 1024, 4 * 1024):
            pushes = (client.post(url, content=b"x" * size) for _ in range(200))
            refusal = next((push for push in pushes if push.status_code != 200), None)
            assert refusal is not None, "its buffer has no limit"
            assert refusal.status_code == 429


def test_slow_reader_delays_no_other_device(open_backend: AttackedBackend, users: Users) -> None:
    """Its buffer fills, its pushes fail, and no other device waits for it."""
    text = "😀" * 4096
    with (
        sleeper(open_backend, users.bob) as connection_id,
        open_backend.device(users.bob) as bob,
        open_backend.device(users.alice) as alice,
    ):
        assert alice.say(users.chat_id, text)["delivered"] == 2
        assert bob.receive()["text"] == text
        fill_buffers(open_backend, connection_id)
        reached = 2
        for _ in range(10):
            ack = alice.say(users.chat_id, text)
            assert bob.receive()["messageId"] == ack["messageId"]
            reached = ack["delivered"]
            if reached == 1:
                break
        assert reached == 1
        began = time.monotonic()
        assert alice.say(users.chat_id, "still here")["delivered"] == 1
        assert time.monotonic() - began < TIMEOUT_S / 2
        assert bob.receive()["text"] == "still here"


def test_frame_that_is_too_large_closes_only_its_connection(
    open_backend: AttackedBackend, users: Users
) -> None:
    """API Gateway closes the connection; the others have theirs."""
    with open_backend.device(users.alice) as alice, open_backend.device(users.bob) as bob:
        with device(open_backend.url, userId=users.mallory) as mallory:
            close_code(mallory, "x" * (33 * 1024))
        assert alice.say(users.chat_id, "still here")["delivered"] == 1
        assert bob.receive()["text"] == "still here"


def close_code(flooding: Device, frame: str) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        flooding.ask(frame)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
