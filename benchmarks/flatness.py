"""The same message among few and among many other users."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table as MotoTable

from benchmarks.measure import Section, Table, interleaved, shown, spread
from benchmarks.measured_backend import MeasuredBackend, measured_backend, text
from tests.support import events

_OTHERS = (1_000, 10_000, 100_000)
_FEW = (100, 1_000)
_MESSAGES = 4


def run(*, quick: bool) -> Section:
    """Send messages while tables of different sizes take turns."""
    units: dict[int, dict[str, float]] = {}
    sizes = _FEW if quick else _OTHERS
    with measured_backend() as measured:
        (sender,) = measured.open("one")
        measured.open("other")
        tables = _Tables(measured, sizes)
        # Or the functions would be charged for looking through moto's tables for garbage.
        gc.collect()
        gc.freeze()

        def measure(size: int) -> float:
            tables.use(size)
            backend = measured.backend
            measured.wire.forget()
            began = time.process_time()
            for _ in range(_MESSAGES):
                backend.send(sender, text("one#other"))
            cpu = time.process_time() - began - measured.wire.stand_in_cpu_s
            reads = sum(call.reads for call in measured.wire.log) / _MESSAGES
            writes = sum(call.writes for call in measured.wire.log) / _MESSAGES
            units[size] = {"reads": reads, "writes": writes}
            return cpu / _MESSAGES * 1000

        with tables.with_indexes():
            interleaved(1, sizes, measure)
            samples = interleaved(3 if quick else 31, sizes, measure)
        gc.unfreeze()
    data: dict[str, Any] = {
        str(size): {"cpuMs": spread(found), **units[size]} for size, found in samples.items()
    }
    rows = [
        [f"{int(size):,}", f"{each['reads']:g}", f"{each['writes']:g}", shown(each["cpuMs"], 2)]
        for size, each in data.items()
    ]
    columns = ["other users, and messages", "read units", "write units", "CPU ms"]
    return Section("flatness", data, [Table("A message among others", columns, rows)])


class _Tables:
    """Tables of several sizes, one of which is in use.

    Rows go straight into moto's tables: through its API, that many would take minutes.
    """

    def __init__(self, measured: MeasuredBackend, sizes: tuple[int, ...]) -> None:
        self._in_use: dict[str, Any] = dynamodb_backends[DEFAULT_ACCOUNT_ID][
            measured.stack.region
        ].tables
        # Before the others come: those whom the messages are from and to.
        self._own = list(self._in_use["ChatConnections"].all_items())
        self._of_size: dict[int, dict[str, Any]] = {}
        stored = 0
        for size in sizes:
            while stored < size:
                self._add(stored)
                stored += 1
            self._of_size[size] = {name: table.items.copy() for name, table in self._in_use.items()}

    def use(self, size: int) -> None:
        """Make the functions use the tables of this size."""
        for name, items in self._of_size[size].items():
            self._in_use[name].items = items

    @contextmanager
    def with_indexes(self) -> Iterator[None]:
        """Make moto find a user's connections without looking at every row.

        It has no indexes, and what it reads drives the functions' own memory out of the processor's
        caches: they then take a quarter more CPU. Anything but a Query reads as before.
        """
        query = MotoTable.query

        def direct_query(table: MotoTable, *args: Any, **more: Any) -> Any:
            with patch.object(MotoTable, "all_items", lambda _: self._own):
                return query(table, *args, **more)

        with patch.object(MotoTable, "query", direct_query):
            yield

    def _add(self, number: int) -> None:
        user_id, partner = f"user{number}", f"user{number + 1}"
        now = events.now()
        connection_id, ttl = events.new_id(), {"N": str(now // 1000 + 86_400)}
        self._in_use["ChatConnections"].put_item(
            {
                "connectionId": {"S": connection_id},
                "userId": {"S": user_id},
                "connectedAt": {"N": str(now)},
                "ttl": ttl,
            }
        )
        self._in_use["ChatConnections"].put_item(
            {
                "connectionId": {"S": f"user#{user_id}"},
                connection_id: {"M": {"connectedAt": {"N": str(now)}}},
                "ttl": ttl,
            }
        )
        self._in_use["ChatMessages"].put_item(
            {
                "chatId": {"S": f"{user_id}#{partner}"},
                "timestamp": {"N": str(now)},
                "messageId": {"S": str(uuid4())},
                "senderId": {"S": user_id},
                "recipientId": {"S": partner},
                "text": {"S": "hello"},
            }
        )
