"""What lies between the functions and AWS while they are measured.

Like `tests.network`, it sits where botocore is about to send: its event ``before-send``.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any, cast

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from benchmarks import units
from tests.support.network import Network, RawBody, Send


@dataclass(frozen=True)
class Call:
    """One call of AWS.

    Attributes:
        began: When, on `time.perf_counter`'s clock; so `ended`.
        reads: DynamoDB's read units; so `writes`.
        sent: How many bytes a push carried.
    """

    operation: str
    began: float
    ended: float
    reads: float = 0
    writes: int = 0
    sent: int = 0


@dataclass
class _Parallel:
    """Calls that are made in parallel."""

    last_began: float
    has_ended: bool = False


class Wire(Network):
    """Carries the calls, times them, and keeps the CPU of the stand-ins apart.

    Attributes:
        log: The calls since `forget`.
        quiet_s: For how long no other call must have begun before one ends. So calls that are made
            in parallel do not look like a sequence, however slowly they begin.
        push_delay_s: How long each push takes at least.
        stand_in_cpu_s: The CPU that moto took since `forget`: it grows with its tables.
    """

    def __init__(self) -> None:
        super().__init__()
        self.quiet_s = self.push_delay_s = 0.0
        self._moto = threading.RLock()
        self._beginning = threading.Lock()
        self._parallel = _Parallel(0, has_ended=True)
        self.forget()

    def forget(self) -> None:
        """Start afresh."""
        self.log: list[Call] = []
        self.stand_in_cpu_s = 0.0

    def transmit(self, operation: str, request: AWSPreparedRequest, send: Send) -> Any:
        """Send one request to moto, or answer it where moto cannot."""
        began = time.perf_counter()
        service, _, name = operation.partition(".")
        push = service == "apigatewaymanagementapi"
        if self.quiet_s:
            self._wait_for_parallel_calls()
        if push:
            time.sleep(self.push_delay_s)
            response = AWSResponse(request.url, 200, HTTPHeaders(), RawBody(b""))
        elif operation == "lambda.Invoke":
            self.queue.append(json.loads(cast("bytes", request.body)))
            response = AWSResponse(request.url, 202, HTTPHeaders(), RawBody(b""))
        else:
            with self._moto:
                cpu = time.thread_time()
                response = cast("AWSResponse", send())
                self.stand_in_cpu_s += time.thread_time() - cpu
        cpu = time.thread_time()
        reads, writes = 0.0, 0
        if service == "dynamodb":
            asked = json.loads(cast("bytes", request.body))
            # A write whose condition failed costs the same, but for the index.
            done = response.status_code == 200
            reads, writes = units.used(name, asked, json.loads(response.content), done=done)
        sent = len(cast("bytes | None", request.body) or b"") if push else 0
        call = Call(operation, began, time.perf_counter(), reads, writes, sent)
        with self._moto:
            self.log.append(call)
            self.stand_in_cpu_s += time.thread_time() - cpu
        return response

    def _wait_for_parallel_calls(self) -> None:
        with self._beginning:
            if self._parallel.has_ended:
                self._parallel = _Parallel(0)
            parallel = self._parallel
            parallel.last_began = time.perf_counter()
        while (left_s := parallel.last_began + self.quiet_s - time.perf_counter()) > 0:
            time.sleep(left_s)
        parallel.has_ended = True


def depth(calls: list[Call]) -> int:
    """Count the calls of the longest chain in which each began when the one before had ended."""
    chain: dict[Call, int] = {}
    for call in sorted(calls, key=lambda each: each.ended):
        before = (steps for other, steps in chain.items() if other.ended <= call.began)
        chain[call] = 1 + max(before, default=0)
    return max(chain.values(), default=0)
