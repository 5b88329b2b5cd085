"""The local runner, end to end: real sockets, real processes."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.measure import Section, Table, percentile, shown, spread
from tests.support.runner import local_runner

_CLIENTS = (1, 10, 100)
_KINDS = ("functions", "moto", "gateway")


def run(*, quick: bool) -> Section:
    """Start it again and again; then let few and many clients chat, in turn."""
    start_up_s = spread([_start() for _ in range(1 if quick else 15)])
    clients, times, seconds = (_CLIENTS[:2], 1, 0.5) if quick else (_CLIENTS, 15, 2)
    # Its clients send faster than the rate limit allows.
    unlimited = ("--parameter-overrides", "MaxFramesPerSecond=0")
    with local_runner(*unlimited, reload=True) as target:
        rounds = asyncio.run(_rounds(target.url, clients, times, seconds))
        memory = _memory_mb()
    data = {
        str(clients): {name: spread(each[name] for each in found) for name in found[0]}
        for clients, found in rounds.items()
    }
    rows = [
        [clients, shown(found["perSecond"], 0), shown(found["p50Ms"]), shown(found["p99Ms"]),
         *(shown(found[kind]) for kind in _KINDS)]
        for clients, found in data.items()
    ]  # fmt: skip
    columns = ["clients", "messages a second", "p50 ms", "p99 ms",
               *(f"{kind}, CPU ms a message" for kind in _KINDS)]  # fmt: skip
    title = f"The local runner: {shown(start_up_s)} s to start, {memory} MB in all its processes"
    found = {"startUpS": start_up_s, "memoryMb": memory, "clients": data}
    return Section("runner", found, [Table(title, columns, rows)])


def _start() -> float:
    began = time.perf_counter()
    with local_runner(reload=True):
        return time.perf_counter() - began


@dataclass(frozen=True)
class _Pair:
    """A client, its partner, and their chat."""

    one: ClientConnection
    other: ClientConnection
    chat_id: str

    async def talk(self, *, until: float) -> list[float]:
        """Send as fast as is answered; give how long each message took, in ms."""
        latencies = []
        frame = json.dumps({"action": "sendmessage", "chatId": self.chat_id, "text": "hello"})
        while (began := time.perf_counter()) < until:
            await self.one.send(frame)
            await self.other.recv()
            latencies.append((time.perf_counter() - began) * 1000)
            await self.one.recv()
        return latencies


@asynccontextmanager
async def _connected(url: str, many: int) -> AsyncIterator[list[_Pair]]:
    async with AsyncExitStack() as opened:

        async def open_one(user_id: str) -> ClientConnection:
            target = f"{url}?userId={user_id}"
            return await opened.enter_async_context(connect(target, compression=None))

        pairs = []
        for _ in range(many):
            one, other = f"a{uuid4().hex}", f"b{uuid4().hex}"
            pairs.append(_Pair(await open_one(one), await open_one(other), f"{one}#{other}"))
        yield pairs


async def _rounds(
    url: str, clients: tuple[int, ...], times: int, seconds: float
) -> Mapping[int, list[dict[str, float]]]:
    found: dict[int, list[dict[str, float]]] = {each: [] for each in clients}
    async with _connected(url, max(clients)) as pairs:
        await _chat(pairs, 2 * seconds)  # processes start
        for _ in range(times):
            for each, samples in found.items():
                samples.append(await _chat(pairs[:each], seconds))
    return found


async def _chat(pairs: list[_Pair], seconds: float) -> dict[str, float]:
    before, began = _cpu_s(), time.perf_counter()
    talks = await asyncio.gather(*(pair.talk(until=began + seconds) for pair in pairs))
    took = time.perf_counter() - began
    latencies = [latency for talk in talks for latency in talk]
    after = _cpu_s()
    return {
        "perSecond": len(latencies) / took,
        "p50Ms": percentile(latencies, 50),
        "p99Ms": percentile(latencies, 99),
        **{kind: (after[kind] - before[kind]) * 1000 / len(latencies) for kind in _KINDS},
    }


def _processes() -> dict[int, str]:
    """Find the processes of the runner, below this one. None where there is no /proc."""
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(stat.parent.name))
    found: dict[int, str] = {}
    waiting = list(children[_own_pid()])
    while waiting:
        pid = waiting.pop()
        waiting += children[pid]
        found[pid] = _kind(pid)
    return found


def _own_pid() -> int:
    own = Path("/proc/self/stat")
    return int(own.read_text().split()[0]) if own.exists() else 0


def _kind(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "gone"
    if b"moto_server" in command:
        return "moto"
    return "functions" if b"bootstrap" in command else "gateway"


def _cpu_s() -> dict[str, float]:
    used: dict[str, float] = defaultdict(float)
    for pid, kind in _processes().items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used[kind] += (int(fields[11]) + int(fields[12])) / 100
    return used


def _memory_mb() -> int:
    """Add up what the processes have, each its share of what they have together."""
    kilobytes = 0
    for pid in _processes():
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        (line,) = (line for line in rollup.splitlines() if line.startswith("Pss:"))
        kilobytes += int(line.split()[1])
    return kilobytes // 1000
