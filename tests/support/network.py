"""What lies between the functions and AWS: every call passes here, and can be made to fail here."""

import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from unittest.mock import patch

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from moto.core.botocore_stubber import BotocoreStubber

type Send = Callable[[], AWSResponse | None]
"""Does the real thing. Returns nothing where moto does not stand in, and real HTTP does."""
type FaultAction = Callable[[AWSPreparedRequest, Send], AWSResponse | None]
"""Is given a request and the real thing, and does what it likes with them."""


class RawBody:
    """What botocore reads a response's body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


def answer(request: AWSPreparedRequest, status: int, code: str, **more: Any) -> AWSResponse:
    """Make an error that DynamoDB, or any service that speaks JSON, answers with."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected", **more}
    headers = HTTPHeaders.from_dict({"x-amzn-ErrorType": code})
    return AWSResponse(request.url, status, headers, RawBody(json.dumps(body).encode()))


def s3_answers(status: int, code: str = "") -> FaultAction:
    """Make S3 answer with an error: a status alone where it was asked for a HEAD."""

    def action(request: AWSPreparedRequest, _: Send) -> AWSResponse:
        body = f"<Error><Code>{code}</Code></Error>" if code else ""
        return AWSResponse(request.url, status, HTTPHeaders(), RawBody(body.encode()))

    return action


def sns_answers(status: int, code: str) -> FaultAction:
    """Make SNS answer with an error."""

    def action(request: AWSPreparedRequest, _: Send) -> AWSResponse:
        body = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"
        return AWSResponse(request.url, status, HTTPHeaders(), RawBody(body.encode()))

    return action


class Killed(BaseException):
    """Lambda ended the function here. No `except Exception` gets to know of it."""


@dataclass
class Fault:
    """Something that goes wrong with calls of one operation.

    Attributes:
        operation: ``dynamodb.PutItem``, say, or `ANY`.
        action: What goes wrong.
        after: How many calls pass unharmed before.
        times: How many calls it actions.
    """

    operation: str
    action: FaultAction
    after: int = 0
    times: int = 1_000_000


def throttled(request: AWSPreparedRequest, _: Send) -> AWSResponse | None:
    return answer(request, 400, "ThrottlingException")


def failing(request: AWSPreparedRequest, _: Send) -> AWSResponse | None:
    return answer(request, 500, "InternalServerError")


def denied(request: AWSPreparedRequest, _: Send) -> AWSResponse | None:
    return answer(request, 400, "AccessDeniedException")


def lost_on_its_way(request: AWSPreparedRequest, _: Send) -> AWSResponse | None:
    raise ReadTimeoutError(endpoint_url=request.url)


def not_reached_in_time(request: AWSPreparedRequest, _: Send) -> AWSResponse | None:
    raise ConnectTimeoutError(endpoint_url=request.url)


def no_one_there(request: AWSPreparedRequest, _: Send) -> AWSResponse | None:
    """The connection is refused, or the name has no address."""
    raise EndpointConnectionError(endpoint_url=request.url, error="refused")


def answer_lost(request: AWSPreparedRequest, send: Send) -> AWSResponse | None:
    """The service does it, and we never hear."""
    send()
    raise ReadTimeoutError(endpoint_url=request.url)


def leaves_out(key: str) -> FaultAction:
    """Make DynamoDB answer a BatchGetItem without one row (`UnprocessedKeys`)."""

    def action(request: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        response = send()
        assert response is not None
        (table,) = (answer := json.loads(response.content))["Responses"]
        rows = answer["Responses"][table]
        answer["Responses"][table] = [row for row in rows if row["connectionId"]["S"] != key]
        left_out = {"Keys": [{"connectionId": {"S": key}}], "ConsistentRead": True}
        answer["UnprocessedKeys"] = {table: left_out}
        body = json.dumps(answer).encode()
        return AWSResponse(request.url, 200, HTTPHeaders(), RawBody(body))

    return action


def taken(request: AWSPreparedRequest, _: Send) -> AWSResponse | None:
    """Another message has the key that a PutItem wants."""
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "injected",
        "Item": {"messageId": {"S": "another"}},
    }
    return AWSResponse(request.url, 400, HTTPHeaders(), RawBody(json.dumps(body).encode()))


def index_behind(request: AWSPreparedRequest, _: Send) -> AWSResponse | None:
    """The index does not show any of the rows that a Query asks for, yet."""
    body = json.dumps({"Items": [], "Count": 0, "ScannedCount": 0})
    return AWSResponse(request.url, 200, HTTPHeaders(), RawBody(body.encode()))


def killed_before(_: AWSPreparedRequest, __: Send) -> AWSResponse | None:
    raise Killed


def killed_after(_: AWSPreparedRequest, send: Send) -> AWSResponse | None:
    send()
    raise Killed


FAULT_ACTIONS = [killed_before, killed_after, throttled, failing, lost_on_its_way, answer_lost]
"""All that may go wrong with a call."""


ANY = "*"
"""In a fault: whatever the operation is."""


# The stubs take socket options for text.
_WITHOUT_DELAY: Any = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


class Network:
    """Carries the calls, and remembers them.

    Attributes:
        calls: The operations asked for, in order, each attempt of botocore's counted.
        requests: What was asked, with each of them.
        bodies: What DynamoDB was asked, by operation.
        queue: Asynchronous invocations of functions, not run yet.
        is_dead: A function was killed: nothing that it still tries happens.
        index_lag_s: After how many seconds an index shows a message; moto's show it at once.
        write_s: How many seconds it takes to store a message.
        clock: What an index's lag is measured with: like the module `time`.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.requests: list[tuple[str, AWSPreparedRequest]] = []
        self.bodies: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.queue: list[dict[str, Any]] = []
        self.is_dead = False
        self.index_lag_s = self.write_s = 0.0
        self.clock: Any = time
        self._stored_at: dict[str, float] = {}
        self._faults: list[Fault] = []
        # moto's tables are plain dicts: without a lock two conditional writes could both succeed.
        self._lock = threading.RLock()
        self._http = URLLib3Session(
            timeout=2,
            max_pool_connections=64,
            socket_options=_WITHOUT_DELAY,
        )

    @contextmanager
    def broken(self, *faults: Fault) -> Iterator[None]:
        """Let things go wrong for a while."""
        self._faults += faults
        try:
            yield
        finally:
            for fault in faults:
                self._faults.remove(fault)

    def transmit(self, operation: str, request: AWSPreparedRequest, send: Send) -> Any:
        with self._lock:
            if self.is_dead:
                raise Killed
            self.calls.append(operation)
            self.requests.append((operation, request))
            if operation.startswith("dynamodb."):
                self.bodies[operation].append(json.loads(cast("bytes", request.body)))
            fault = self._next_fault(operation)

        def do() -> AWSResponse | None:
            if operation.startswith("apigatewaymanagementapi."):
                return self._http.send(request)
            if operation == "lambda.Invoke":
                return self._enqueue(request)
            messages = _messages_in(operation, request)
            if messages:
                self.clock.sleep(self.write_s)
                if self.clock is not time:
                    # Of a clock that passes at once. Meanwhile other threads must get their turn.
                    time.sleep(self.write_s / 100)
            with self._lock:
                response = send()
                self._stored_at.update(dict.fromkeys(messages, self.clock.monotonic()))
                if self.index_lag_s and _reads_index(operation, request):
                    assert response is not None
                    return self._as_the_index_shows(request, response)
                return response

        if fault is None:
            return do()
        try:
            return fault.action(request, do)
        except Killed:
            self.is_dead = True
            raise

    def _as_the_index_shows(
        self, request: AWSPreparedRequest, response: AWSResponse
    ) -> AWSResponse:
        """Leave out what was stored less than the lag ago."""
        answer = json.loads(response.content)
        shown = self.clock.monotonic() - self.index_lag_s
        answer["Items"] = [
            item
            for item in answer["Items"]
            if self._stored_at.get(item["messageId"]["S"], 0) <= shown
        ]
        body = json.dumps(answer | {"Count": len(answer["Items"])}).encode()
        return AWSResponse(request.url, 200, HTTPHeaders(), RawBody(body))

    def _enqueue(self, request: AWSPreparedRequest) -> AWSResponse:
        assert request.headers["X-Amz-Invocation-Type"] == b"Event"
        self.queue.append(json.loads(cast("bytes", request.body)))
        return AWSResponse(request.url, 202, HTTPHeaders(), RawBody(b""))

    def _next_fault(self, operation: str) -> Fault | None:
        for fault in self._faults:
            if fault.operation in {operation, ANY} and fault.times > 0:
                if fault.after == 0:
                    fault.times -= 1
                    return fault
                fault.after -= 1
        return None


def _reads_index(operation: str, request: AWSPreparedRequest) -> bool:
    body = json.loads(cast("bytes", request.body)) if operation == "dynamodb.Query" else {}
    return "IndexName" in body


def _messages_in(operation: str, request: AWSPreparedRequest) -> list[str]:
    """List the ids of the messages that a call stores."""
    if operation not in {"dynamodb.PutItem", "dynamodb.TransactWriteItems"}:
        return []
    body = json.loads(cast("bytes", request.body))
    writes = [each.get("Put", {}) for each in body.get("TransactItems", [])] or [body]
    items = [each.get("Item", {}) for each in writes]
    return [item["messageId"]["S"] for item in items if "recipientId" in item]


@contextmanager
def between_botocore_and_moto[N: Network](between: N) -> Iterator[N]:
    """Send every call of botocore's through a network before moto answers it."""
    real = BotocoreStubber.__call__

    def call(
        self: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **more: Any
    ) -> Any:
        _, service, operation = event_name.split(".")
        return between.transmit(
            f"{service}.{operation}", request, lambda: real(self, event_name, request, **more)
        )

    with patch.object(BotocoreStubber, "__call__", call):
        yield between
