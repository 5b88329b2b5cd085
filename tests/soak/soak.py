"""Many clients, connections cut without a word, thousands of messages: is anything lost?

``make soak``, or ``python -m tests.soak.soak --help``.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.protocol import State

from tests.support.runner import local_runner

ACK_TIMEOUT_S = 10
MAX_CONNECTS = 20
CUT_EVERY = 8
"""On average, how many messages a client sends between two cuts of its connection."""
SETTLE_TIMEOUT_S = 20
"""How long a connected client may take to have every message, without connecting again."""
UNKIND = ("--index-lag", "0,2", "--write-delay", "0,0.5")
"""How the embedded DynamoDB behaves: as slowly as AWS's may on a bad day."""


@dataclass
class Report:
    """What happened, and what is missing."""

    sent: int = 0
    resent: int = 0
    cuts: int = 0
    acknowledged: int = 0
    received: int = 0
    caught_up: int = 0
    repeated: int = 0
    lost: int = 0

    def __str__(self) -> str:
        return "  ".join(f"{name.replace('_', ' ')} {count}" for name, count in vars(self).items())


@dataclass
class Client:
    """One user's client, as the README says one should be.

    It sends until it is acknowledged, by the same `clientMessageId`; it knows messages by their
    ids; it keeps the `until` of the last `synced`, and catches up from there.
    """

    url: str
    user_id: str
    partner_id: str
    report: Report
    cursor: int = 0
    seen: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    _socket: ClientConnection | None = None
    _reader: asyncio.Task[None] | None = None
    _synced: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _acks: dict[str, asyncio.Future[None]] = field(default_factory=dict)

    @property
    def chat_id(self) -> str:
        return "#".join(sorted((self.user_id, self.partner_id)))

    async def open(self) -> ClientConnection:
        query = urlencode({"userId": self.user_id, "since": self.cursor})
        self._synced = asyncio.Event()
        self._socket = await connect(f"{self.url}?{query}", compression=None, open_timeout=30)
        self._reader = asyncio.create_task(self._read(self._socket))
        return self._socket

    async def cut(self) -> None:
        """Vanish without a close frame, as a phone in a tunnel does."""
        if self._socket and self._reader:
            self._socket.transport.abort()
            await self._reader
            self._socket = None
            self.report.cuts += 1

    async def stay_connected(self) -> None:
        """Connect unless connected; a refusal (503, say) is no reason to give up."""
        for _ in range(MAX_CONNECTS):
            with contextlib.suppress(WebSocketException, OSError, TimeoutError):
                if self._socket and self._socket.state is State.OPEN:
                    return
                await self.open()
            await asyncio.sleep(0.2)
        raise AssertionError(f"{self.user_id} could not connect")

    async def missing(self, wanted: set[str]) -> int:
        """Wait for messages on the open connection; return how many did not come in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await self._synced.wait()
                while wanted - self.seen:
                    await self._news.wait()
                    self._news.clear()
        return len(wanted - self.seen)

    async def say(self, text: str) -> None:
        client_message_id = uuid4().hex
        frame = json.dumps(
            {
                "action": "sendmessage",
                "chatId": self.chat_id,
                "text": text,
                "clientMessageId": client_message_id,
            }
        )
        self.report.sent += 1
        done = self._acks[client_message_id] = asyncio.get_running_loop().create_future()
        while not done.done():
            with contextlib.suppress(WebSocketException, OSError, TimeoutError):
                socket = self._socket or await self.open()
                await socket.send(frame)
                if random.randrange(CUT_EVERY) == 0:  # noqa: S311 -- no secret
                    await self.cut()
                else:
                    await asyncio.wait_for(asyncio.shield(done), ACK_TIMEOUT_S)
            if not done.done():
                self.report.resent += 1
                await self.cut()

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(WebSocketException, OSError):
            async for text in socket:
                self._take(json.loads(text))

    def _take(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "ack":
                self.acknowledged.add(frame["messageId"])
                waiting = self._acks.get(frame["clientMessageId"])
                if waiting and not waiting.done():
                    self.report.acknowledged += 1
                    waiting.set_result(None)
            case "message":
                self._take_message(frame)
            case "messages":
                for message in frame["messages"]:
                    self._take_message(message)
            case "synced":
                self.cursor = frame["until"]
                assert frame["complete"], frame
                self._synced.set()
            case "error":
                assert frame["code"] == "unavailable", frame

    def _take_message(self, message: dict[str, Any]) -> None:
        if message["senderId"] == self.user_id:
            return  # sent over a connection that was cut, and pushed to the next one
        if message["messageId"] in self.seen:
            self.report.repeated += 1
            return
        self.seen.add(message["messageId"])
        self._news.set()
        self.report.received += 1
        self.report.caught_up += not self._synced.is_set()


async def soak(url: str, *, pairs: int, messages: int) -> Report:
    """Let pairs of users chat, `messages` each way and pair; count what a client does not get."""
    report = Report()
    both_ways: list[tuple[Client, Client]] = []
    for _ in range(pairs):
        unique = uuid4().hex[:12]
        first, second = f"soak-a-{unique}", f"soak-b-{unique}"
        one, other = Client(url, first, second, report), Client(url, second, first, report)
        both_ways += [(one, other), (other, one)]
    clients = [client for client, _ in both_ways]

    async def chat(client: Client) -> None:
        for number in range(messages):
            await client.say(f"message {number} of {client.user_id}")

    await asyncio.gather(*map(chat, clients))
    await asyncio.gather(*(client.stay_connected() for client in clients))
    report.lost = sum(
        await asyncio.gather(
            *(recipient.missing(sender.acknowledged) for sender, recipient in both_ways)
        )
    )
    await asyncio.gather(*(client.cut() for client in clients))
    return report


def main() -> int:
    """Run it, print the report, and fail if anything is lost."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--pairs", type=int, default=25, help="pairs of users (%(default)s)")
    parser.add_argument(
        "--messages", type=int, default=80, help="messages that each user sends (%(default)s)"
    )
    parser.add_argument("--url", help="a deployed backend, in place of one on this machine")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url = options.url or stack.enter_context(local_runner(*UNKIND)).url
        print(f"{options.pairs} pairs, {options.messages} messages each way, at {url}", flush=True)
        report = asyncio.run(soak(url, pairs=options.pairs, messages=options.messages))
    print(report)
    return 1 if report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
