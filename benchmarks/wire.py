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


class Wire(Network):
    """Carries the calls, times them, and keeps the CPU of the stand-ins apart.

    Attributes:
        log: The calls since `forget`.
        delay_s: How long each call takes at least.
        push_delay_s: How long each push takes at least.
        stand_in_cpu_s: The CPU that moto took since `forget`: it grows with its tables.
    """

    def __init__(self) -> None:
        super().__init__()
        self.delay_s = self.push_delay_s = 0.0
        self._moto = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """Start afresh."""
        self.log: list[Call] = []
        self.stand_in_cpu_s = 0.0

    def carry(self, operation: str, request: AWSPreparedRequest, carry: Send) -> Any:
        """Send one request to moto, or answer it where moto cannot."""
        began = time.perf_counter()
        service, _, name = operation.partition(".")
        push = service == "apigatewaymanagementapi"
        if delay := self.push_delay_s if push else self.delay_s:
            time.sleep(delay)
        if push:
            response = AWSResponse(request.url, 200, HTTPHeaders(), RawBody(b""))
        elif operation == "lambda.Invoke":
            self.queue.append(json.loads(cast("bytes", request.body)))
            response = AWSResponse(request.url, 202, HTTPHeaders(), RawBody(b""))
        else:
            with self._moto:
                cpu = time.thread_time()
                response = cast("AWSResponse", carry())
                self.stand_in_cpu_s += time.thread_time() - cpu
        cpu = time.thread_time()
        reads, writes = 0.0, 0
        if service == "dynamodb":
            asked = json.loads(cast("bytes", request.body))
            # A write whose condition failed costs the same, but for the index.
            done = response.status_code == 200
            reads, writes = units.used(name, asked, json.loads(response.content), done=done)
        sent = len(cast("bytes", request.body)) if push else 0
        call = Call(operation, began, time.perf_counter(), reads, writes, sent)
        with self._moto:
            self.log.append(call)
            self.stand_in_cpu_s += time.thread_time() - cpu
        return response


def depth(calls: list[Call]) -> int:
    """Count the calls of the longest chain in which each began when the one before had ended."""
    chain: dict[Call, int] = {}
    for call in sorted(calls, key=lambda each: each.ended):
        before = (steps for other, steps in chain.items() if other.ended <= call.began)
        chain[call] = 1 + max(before, default=0)
    return max(chain.values(), default=0)
