"""What it costs on AWS: measured calls, units, bytes and CPU, times the list prices."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.calls import MISSED
from benchmarks.measure import Section, Table

_FACTS = json.loads(Path(__file__).with_name("prices.json").read_text())
_PRICES: dict[str, dict[str, Any]] = _FACTS["prices"]
_ASSUMED: dict[str, Any] = _FACTS["assumptions"]
_MEMORY_MB = 512
_SIZES_MB = (128, 256, 512, 1024, 1769)
_USERS = (1_000, 100_000, 10_000_000)
_SERVICES = ("API Gateway", "Lambda", "DynamoDB", "S3", "SNS", "logs", "egress")
# What is priced, how many devices it is pushed to, and how many more messages of API Gateway's it
# is: a frame and its ack, or none for a server.
_KINDS = {
    "text, one device a side": (1, 2),
    "text with a `clientMessageId`": (1, 2),
    "text, recipient offline": (0, 2),
    "text, recipient offline, with a topic": (0, 2),
    "text of a server, one device": (1, 0),
    "text, two devices a side": (3, 2),
    "file, one device a side": (1, 2),
}
# What else a month is made of, and how many messages of API Gateway's it is. Whether a handshake
# and an end are billed as messages is not documented: as one each, to be safe.
_OTHERS = {"connect": 1, "disconnect": 1, "upload link": 2}
# Reads and signals. Each is a frame in and an answer, and the pushes.
_READS = (
    "receipt, one device a side",
    "typing, one device a side",
    "`getmessages` with `since`, nothing missed",
    f"`getmessages` with `since`, {MISSED} messages",
    "`getmessages` with `chatId`, 50 messages",
)

# How much of each thing that has a price.
type _Amounts = dict[str, float]


def run(calls: Mapping[str, Any], warm: Mapping[str, Any], cold: Mapping[str, Any]) -> Section:
    """Price what the other benchmarks found."""
    cpu = {name: found["median"] for name, found in warm["cpuMs"].items()}
    push_ms = cpu["text, one device a side"] - cpu["text, recipient offline"]
    init_ms = cold["handlers"]["send_message"]["wallMs"]["handler"]["median"]
    taken = {}
    for name, (pushes, frames) in _KINDS.items():
        base = "text with a `clientMessageId`" if "`" in name else "text, recipient offline"
        # Each call costs about the same: what S3 and SNS are asked counts as a push does.
        others = calls[name]["s3"] + calls[name]["calls"].get("sns.Publish", 0)
        work = cpu[base] + push_ms * (pushes + others)
        taken[name] = _million(calls[name], work, init_ms, frames + pushes)
    for name, frames in _OTHERS.items():
        taken[name] = _million(calls[name], cpu[name], init_ms, frames)
    for name in _READS:
        taken[name] = _million(calls[name], cpu[name], init_ms, 2 + calls[name]["pushes"])
    million = {name: _bill(taken[name]) for name in _KINDS}
    floor = {
        name: _bill({"apiGatewayMessages": taken[name]["apiGatewayMessages"]})["API Gateway"]
        for name in _KINDS
    }
    reads = {name: _bill(taken[name]) for name in _READS}
    months = {users: _month(users, taken) for users in _USERS}
    sizes = {size: _at(size, calls["text, one device a side"], cpu["text, one device a side"])
             for size in _SIZES_MB}  # fmt: skip
    data = {"prices": _FACTS["date"], "memoryMb": _MEMORY_MB, "million": million, "floor": floor,
            "reads": reads, "months": months, "sizes": sizes}  # fmt: skip
    return Section("money", data, _tables(million, floor, reads, months, sizes))


def _million(calls: Mapping[str, Any], cpu_ms: float, init_ms: float, frames: int) -> _Amounts:
    """Return what a million actions of a kind take.

    Args:
        calls: What one asks of AWS.
        cpu_ms: What it takes of the processor.
        init_ms: How long a cold container takes to start.
        frames: How many messages of API Gateway's it is, in and out.
    """
    duration_ms = _duration_ms(_MEMORY_MB, calls, cpu_ms) + _ASSUMED["coldShare"] * init_ms
    has_file = bool(calls["s3"])
    return {
        "apiGatewayMessages": frames * 1e6,
        "lambdaRequests": 1e6,
        "lambdaGbSeconds": _gb_seconds(_MEMORY_MB, duration_ms),
        "dynamodbWrites": calls["writes"] * 1e6,
        "dynamodbReads": calls["reads"] * 1e6,
        # A file is also put once and fetched once. HEAD costs what GET does. To take a tag away is
        # nowhere said to cost less.
        "s3Puts": has_file * 1e6,
        "s3Gets": (calls["s3"] + has_file) * 1e6,
        "snsPublishes": calls["calls"].get("sns.Publish", 0) * 1e6,
        # In GB, as a million times a thousandth of a kB is.
        "logGb": (calls["logBytes"] + _ASSUMED["platformLogBytes"]) / 1e3,
        "egressGb": (calls["pushBytes"] + calls["replyBytes"] + has_file * _ASSUMED["fileBytes"])
        / 1e3,
    }


def _bill(amounts: _Amounts) -> dict[str, float]:
    """Price amounts, service by service."""
    bill = dict.fromkeys(_SERVICES, 0.0)
    for name, amount in amounts.items():
        price = _PRICES[name]
        bill[price["service"]] += _tiered(amount / price["per"], price["tiers"])
    return _round(bill)


def _tiered(amount: float, tiers: list[list[float]]) -> float:
    """Price an amount whose later parts may be cheaper: each tier is its price, and its size."""
    dollars = 0.0
    for price, *size in tiers:
        part = min(amount, *size) if size else amount
        dollars += part * price
        amount -= part
    return dollars


def _duration_ms(memory_mb: int, calls: Mapping[str, Any], cpu_ms: float) -> float:
    """Return how long an invocation lasts: the steps it waits for, and the CPU at its share."""
    steps = _ASSUMED["stepMs"]
    kinds = {operation.partition(".")[0] for operation in calls["calls"]}
    waits = sum(steps.get(kind, 0) for kind in kinds)
    # A file is looked at, then untagged, before anything is stored.
    waits += steps["s3"] * max(0, calls["s3"] - 1)
    return float(waits + cpu_ms * max(1, _ASSUMED["vcpuMb"] / memory_mb))


def _gb_seconds(memory_mb: int, duration_ms: float) -> float:
    """Return the GB-seconds of a million invocations."""
    return memory_mb / 1024 * duration_ms / 1000 * 1e6


def _at(memory_mb: int, calls: Mapping[str, Any], cpu_ms: float) -> dict[str, float]:
    duration_ms = _duration_ms(memory_mb, calls, cpu_ms)
    taken = {"lambdaRequests": 1e6, "lambdaGbSeconds": _gb_seconds(memory_mb, duration_ms)}
    return _round({"ms": duration_ms, "dollars": _bill(taken)["Lambda"]})


def _month(users: int, a_million: Mapping[str, _Amounts]) -> dict[str, float]:
    """Price a month of users with the stated habits."""
    habits = _ASSUMED["habits"]
    taken: dict[str, float] = defaultdict(float)
    for action, times in habits["aDay"].items():
        for name, amount in a_million[action].items():
            taken[name] += amount * times * users * habits["days"] / 1e6
    taken["apiGatewayMinutes"] = users * habits["days"] * habits["minutes"]
    return _bill(taken)


def _round(amounts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(amount, 4) for name, amount in amounts.items()}


def _tables(
    million: Mapping[str, Mapping[str, float]],
    floor: Mapping[str, float],
    reads: Mapping[str, Mapping[str, float]],
    months: Mapping[int, Mapping[str, float]],
    sizes: Mapping[int, Mapping[str, float]],
) -> list[Table]:
    kinds = [
        [name, *(f"{bill[each]:.2f}" for each in _SERVICES), f"{sum(bill.values()):.2f}",
         f"{sum(bill.values()) / floor[name]:.2f}"]
        for name, bill in million.items()
    ]  # fmt: skip
    for_reads = [
        [name, *(f"{bill[each]:.2f}" for each in _SERVICES), f"{sum(bill.values()):.2f}"]
        for name, bill in reads.items()
    ]
    monthly = [
        [f"{users:,}", *(f"{bill[each]:,.0f}" for each in _SERVICES),
         f"{sum(bill.values()):,.0f}", f"{sum(bill.values()) / users:.3f}"]
        for users, bill in months.items()
    ]  # fmt: skip
    memory = [[f"{size}", f"{found['ms']:.0f}", f"{found['dollars']:.2f}"]
              for size, found in sizes.items()]  # fmt: skip
    return [
        Table("Dollars for a million messages",
              ["kind", *_SERVICES, "together", "times API Gateway's own"], kinds),
        Table("Dollars for a million reads and signals",
              ["kind", *_SERVICES, "together"], for_reads),
        Table("Dollars a month", ["daily users", *_SERVICES, "together", "a user"], monthly),
        Table("Memory: a text to one device", ["MB", "ms", "Lambda, $ a million"], memory),
    ]  # fmt: skip
