"""What it costs on AWS: measured calls, units, bytes and CPU, times the list prices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import Section, Table

_FACTS = json.loads(Path(__file__).with_name("prices.json").read_text())
_PRICES: dict[str, dict[str, Any]] = _FACTS["prices"]
_ASSUMED: dict[str, Any] = _FACTS["assumptions"]
_MEMORY_MB = 512
_SIZES_MB = (128, 256, 512, 1024, 1769)
_USERS = (1_000, 100_000, 10_000_000)
_SERVICES = ("API Gateway", "Lambda", "DynamoDB", "S3", "logs")
# What is priced, and the action whose CPU stands for it.
_KINDS = {
    "text, one device a side": 1,
    "text with a `clientMessageId`": 1,
    "text, recipient offline": 0,
    "text, two devices a side": 3,
    "file, one device a side": 1,
}


def run(calls: Mapping[str, Any], warm: Mapping[str, Any], cold: Mapping[str, Any]) -> Section:
    """Price what the other benchmarks found."""
    cpu = {name: found["median"] for name, found in warm["cpuMs"].items()}
    push_ms = cpu["text, one device a side"] - cpu["text, recipient offline"]
    init_ms = cold["handlers"]["send_message"]["wallMs"]["handler"]["median"]
    million = {}
    for name, pushes in _KINDS.items():
        base = "text with a `clientMessageId`" if "`" in name else "text, recipient offline"
        # Each call costs about the same: what S3 is asked counts as a push does.
        work = cpu[base] + push_ms * (max(0, pushes - ("`" in name)) + calls[name]["s3"])
        million[name] = _million(calls[name], work, init_ms, pushes)
    floor = {name: (2 + pushes) * 1.0 for name, pushes in _KINDS.items()}
    months = {users: _month(users, calls, cpu, init_ms, million) for users in _USERS}
    sizes = {size: _at(size, calls["text, one device a side"], cpu["text, one device a side"])
             for size in _SIZES_MB}  # fmt: skip
    data = {"prices": _FACTS["date"], "memoryMb": _MEMORY_MB, "million": million, "floor": floor,
            "months": months, "sizes": sizes}  # fmt: skip
    return Section("money", data, _tables(million, floor, months, sizes))


def _million(
    calls: Mapping[str, Any], cpu_ms: float, init_ms: float, pushes: int
) -> dict[str, float]:
    """Price a million messages of a kind: the frame in, the ack and the pushes out."""
    duration_ms = _duration_ms(_MEMORY_MB, calls, cpu_ms) + _ASSUMED["coldShare"] * init_ms
    return _round({
        "API Gateway": (2 + pushes) * _PRICES["apiGatewayMessages"]["perMillion"],
        "Lambda": _lambda(_MEMORY_MB, duration_ms),
        "DynamoDB": calls["writes"] * _PRICES["dynamodbWrites"]["perMillion"]
        + calls["reads"] * _PRICES["dynamodbReads"]["perMillion"],
        # A file is also put once and fetched once; HEAD costs what GET does, and so do tags.
        "S3": calls["s3"] * _PRICES["s3Gets"]["perMillion"]
        + (_PRICES["s3Puts"]["perMillion"] + _PRICES["s3Gets"]["perMillion"]) * bool(calls["s3"]),
        "logs": calls["logBytes"] / 1000 * _PRICES["logBytes"]["perGb"],
    })  # fmt: skip


def _duration_ms(memory_mb: int, calls: Mapping[str, Any], cpu_ms: float) -> float:
    """Say how long an invocation lasts: the steps it waits for, and the CPU at its share of one."""
    steps = _ASSUMED["stepMs"]
    kinds = {operation.partition(".")[0] for operation in calls["calls"]}
    waits = sum(steps.get(kind, 0) for kind in kinds)
    # A file is looked at, then untagged, before anything is stored.
    waits += steps["s3"] * max(0, calls["s3"] - 1)
    return float(waits + cpu_ms * max(1, _ASSUMED["vcpuMb"] / memory_mb))


def _lambda(memory_mb: int, duration_ms: float) -> float:
    gb_seconds = memory_mb / 1024 * duration_ms / 1000 * 1_000_000
    return float(
        _PRICES["lambdaRequests"]["perMillion"] + gb_seconds * _PRICES["lambdaGbSeconds"]["each"]
    )


def _at(memory_mb: int, calls: Mapping[str, Any], cpu_ms: float) -> dict[str, float]:
    duration_ms = _duration_ms(memory_mb, calls, cpu_ms)
    return _round({"ms": duration_ms, "dollars": _lambda(memory_mb, duration_ms)})


def _month(
    users: int,
    calls: Mapping[str, Any],
    cpu: Mapping[str, float],
    init_ms: float,
    million: Mapping[str, Mapping[str, float]],
) -> dict[str, float]:
    habits = _ASSUMED["habits"]
    many = users * habits["days"] / 1_000_000
    connect = _million(calls["connect"], cpu["connect"], init_ms, 0)
    leave = _million(calls["disconnect"], cpu["disconnect"], init_ms, 0)
    upload = _million(calls["upload link"], cpu["upload link"], init_ms, 0)
    text = million["text with a `clientMessageId`"]
    file = million["file, one device a side"]
    bill = dict.fromkeys([*_SERVICES, "egress"], 0.0)
    for service in _SERVICES:
        bill[service] = many * (
            habits["textsSent"] * text[service]
            + habits["filesSent"] * (file[service] + upload[service])
            # Whether API Gateway bills the handshake and the end is not documented: one each.
            + habits["connections"] * (connect[service] + leave[service])
        )
    frames_millions = bill["API Gateway"] / _PRICES["apiGatewayMessages"]["perMillion"]
    price = _PRICES["apiGatewayMessages"]
    beyond = max(0.0, frames_millions - price["beyond"] / 1_000_000)
    bill["API Gateway"] -= beyond * (price["perMillion"] - price["perMillionBeyond"])
    bill["API Gateway"] += many * habits["minutes"] * _PRICES["apiGatewayMinutes"]["perMillion"]
    gigabytes = many * habits["filesSent"] * _ASSUMED["fileBytes"] / 1000
    bill["egress"] = gigabytes * _PRICES["egressBytes"]["perGb"]
    return _round(bill)


def _round(amounts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(amount, 4) for name, amount in amounts.items()}


def _tables(
    million: Mapping[str, Mapping[str, float]],
    floor: Mapping[str, float],
    months: Mapping[int, Mapping[str, float]],
    sizes: Mapping[int, Mapping[str, float]],
) -> list[Table]:
    kinds = [
        [name, *(f"{bill[each]:.2f}" for each in _SERVICES), f"{sum(bill.values()):.2f}",
         f"{sum(bill.values()) / floor[name]:.2f}"]
        for name, bill in million.items()
    ]  # fmt: skip
    services = [*_SERVICES, "egress"]
    monthly = [
        [f"{users:,}", *(f"{bill[each]:,.0f}" for each in services),
         f"{sum(bill.values()):,.0f}", f"{sum(bill.values()) / users:.3f}"]
        for users, bill in months.items()
    ]  # fmt: skip
    memory = [[f"{size}", f"{found['ms']:.0f}", f"{found['dollars']:.2f}"]
              for size, found in sizes.items()]  # fmt: skip
    return [
        Table("Dollars for a million messages",
              ["kind", *_SERVICES, "together", "times API Gateway's own"], kinds),
        Table("Dollars a month", ["daily users", *services, "together", "a user"], monthly),
        Table("Memory: a text to one device", ["MB", "ms", "Lambda, $ a million"], memory),
    ]  # fmt: skip
