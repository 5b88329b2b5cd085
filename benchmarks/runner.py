"""The local runner, end to end: real sockets, real processes."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from pathlib import Path
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.measure import Section, Table, percentile
from tests.runner import running_backend

_CLIENTS = (1, 10, 100)


def run(*, quick: bool) -> Section:
    """Let clients chat, each as fast as it gets answers."""
    began = time.perf_counter()
    with running_backend() as target:
        start_up_s = time.perf_counter() - began
        data = {}
        for clients in _CLIENTS[: 2 if quick else 3]:
            data[str(clients)] = asyncio.run(_chat(target.url, clients, 1 if quick else 10))
        memory = _memory_mb()
    rows = [
        [clients, f"{found['perSecond']:.0f}", f"{found['p50Ms']:.1f}", f"{found['p99Ms']:.1f}",
         str(found["busy"])]
        for clients, found in data.items()
    ]  # fmt: skip
    columns = ["clients", "messages a second", "p50 ms", "p99 ms", "CPU seconds, by process"]
    title = f"The local runner ({start_up_s:.1f} s to start, {memory} MB in all its processes)"
    found = {"startUpS": round(start_up_s, 2), "memoryMb": memory, "clients": data}
    return Section("runner", found, [Table(title, columns, rows)])


async def _chat(url: str, clients: int, seconds: float) -> dict[str, float | str]:
    """Let so many clients send to a partner each; time each message until the partner has it."""
    latencies: list[float] = []
    mark = uuid4().hex[:8]
    sockets: list[tuple[ClientConnection, ClientConnection, str]] = []
    for number in range(clients):
        one, other = f"a{number}{mark}", f"b{number}{mark}"
        pair = [await connect(f"{url}?userId={user}", compression=None) for user in (one, other)]
        sockets.append((pair[0], pair[1], f"{one}#{other}"))

    async def talk(one: ClientConnection, other: ClientConnection, chat_id: str) -> None:
        frame = json.dumps({"action": "sendmessage", "chatId": chat_id, "text": "hello"})
        while time.perf_counter() < ends_at:
            began = time.perf_counter()
            await one.send(frame)
            await other.recv()
            latencies.append((time.perf_counter() - began) * 1000)
            await one.recv()

    ends_at = time.perf_counter() + min(4, seconds)
    await asyncio.gather(*(talk(*each) for each in sockets))  # processes start
    latencies.clear()
    before, began = _cpu_s(), time.perf_counter()
    ends_at = began + seconds
    await asyncio.gather(*(talk(*each) for each in sockets))
    took = time.perf_counter() - began
    used = {kind: cpu - before.get(kind, 0) for kind, cpu in _cpu_s().items()}
    await asyncio.gather(*(socket.close() for each in sockets for socket in each[:2]))
    busy = ", ".join(f"{kind} {cpu:.1f}" for kind, cpu in sorted(used.items()) if cpu > 0)
    return {
        "perSecond": round(len(latencies) / took, 1),
        "p50Ms": round(percentile(latencies, 50), 2),
        "p99Ms": round(percentile(latencies, 99), 2),
        "busy": f"{busy} of {took:.1f}",
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
    pages = 0
    for pid in _processes():
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * 4096 // 1_000_000
