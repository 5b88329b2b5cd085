"""The longest chain of calls that each function can make ends before the function's timeout.

A search runs the real code on a clock on which every attempt of botocore's may take as long as the
client's timeouts allow, and then succeed, fail, or lose its answer; parallel calls take as long as
the longest of them. The times come from the clients' configuration; nothing is computed by hand.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from moto import mock_aws

from issuer import FETCH_TIMEOUT_S
from local.template.model import Stack
from tests.support import events
from tests.support.backend import Backend, Container
from tests.support.clock import Clock
from tests.support.embedded_storage import grow_old
from tests.support.management_api import ManagementApi
from tests.support.network import ANY, Fault, Send, answer, leaves_out, throttled
from tests.support.stack import containers, loaded
from tests.support.subscriber import TOPIC_ARN

pytestmark = pytest.mark.slow

# The first retry of botocore's standard mode comes after a random pause of up to a second:
# https://docs.aws.amazon.com/boto3/latest/guide/retries.html
_MAX_PAUSE_S = 1.0
_DAY_MS = 24 * 60 * 60 * 1000
_CLIENTS = {
    "dynamodb": "dynamodb",
    "s3": "s3",
    "apigatewaymanagementapi": "management_api",
    "lambda": "lambda_api",
    "sns": "sns",
}
_OUTCOMES = ["unreached", "late", "answer lost", "throttled"]
_MORE_OUTCOMES = {
    "dynamodb.BatchGetItem": ["unprocessed"],
    "apigatewaymanagementapi.PostToConnection": ["gone"],
    "apigatewaymanagementapi.DeleteConnection": ["gone"],
}

_ROUNDS = 80


class Choices:
    """The decisions of a run: first those of an earlier run, then random ones."""

    def __init__(self, random: Random, earlier: Sequence[int]) -> None:
        self._random = random
        self._earlier = earlier
        self.made: list[int] = []

    def among[Option](self, options: Sequence[Option]) -> Option:
        position = len(self.made)
        if position < len(self._earlier):
            made = self._earlier[position] % len(options)
        else:
            # The first options are the worst ones.
            made = min(self._random.randrange(len(options)) for _ in range(4))
        self.made.append(made)
        return options[made]


def longest(run: Callable[[Choices], float]) -> float:
    """Search for the run that takes longest, by changing the longest so far from some point on."""
    random = Random(1)  # noqa: S311 -- no secret
    best: list[int] = []
    best_s = 0.0
    for _ in range(_ROUNDS):
        choices = Choices(random, best[: random.randint(0, len(best))])
        seconds = run(choices)
        if seconds >= best_s:
            best, best_s = choices.made, seconds
    return best_s


def in_parallel[Result](clock: Clock, calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Make calls one after the other, as if they had begun together."""
    began_at = ended_at = clock.slept_s
    results, errors = [], []
    for call in calls:
        clock.slept_s = began_at
        try:
            results.append(call())
        except Exception as error:  # noqa: BLE001 -- raised below, after all have ended
            errors.append(error)
        ended_at = max(ended_at, clock.slept_s)
    clock.slept_s = ended_at
    if errors:
        raise errors[0]
    return results


@pytest.fixture(scope="session")
def _longest_functions(
    tmp_path_factory: pytest.TempPathFactory, _api: ManagementApi
) -> dict[str, Container]:
    """Those of a deployment with every parameter that adds a call."""
    scratch = tmp_path_factory.mktemp("scratch")
    with mock_aws():
        stack = loaded(scratch, WaitingTopicArn=TOPIC_ARN, MessageRetentionDays="30")
        return containers(stack, _api)


@pytest.fixture
def functions(_longest_functions: dict[str, Container]) -> dict[str, Container]:
    return _longest_functions


@pytest.fixture
def clock(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(is_still=True)
    monkeypatch.setattr(
        "botocore.endpoint.time", SimpleNamespace(sleep=lambda _: clock.sleep(_MAX_PAUSE_S))
    )
    # Its clients give up retries where many calls failed; here every chain is as long as the first.
    monkeypatch.setattr("botocore.retries.quota.RetryQuota.acquire", lambda *_: True)
    for container in backend.containers():
        modules = container.modules
        for module in modules.values():
            if hasattr(module, "time"):
                monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(modules["chat.aws"], "in_parallel", partial(in_parallel, clock))
        if "chat.retry" in modules:
            monkeypatch.setattr(modules["chat.retry"], "_FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(backend.send_message.modules["chat.messages"], "STORE_TIMEOUT_S", 2.0)
    return clock


def duration(
    backend: Backend, clock: Clock, choices: Choices, container: Container, event: Any
) -> float:
    """Run a function while every call may be late or fail; return how long it took, in seconds."""
    clients: Any = container.modules["chat.aws"]

    def behave(request: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        operation, _ = backend.wire.requests[-1]
        service = operation.partition(".")[0]
        outcome = choices.among(
            [*_OUTCOMES[:1], *_MORE_OUTCOMES.get(operation, []), *_OUTCOMES[1:]]
        )
        if outcome == "throttled":
            return throttled(request, send)
        client = getattr(clients, _CLIENTS[service])()
        if operation == "s3.CopyObject":
            client = clients.s3(clients.COPYING)
        config = client.meta.config
        clock.sleep(config.connect_timeout + config.read_timeout)
        match outcome:
            case "unreached":
                raise ConnectTimeoutError(endpoint_url=request.url)
            case "answer lost":
                send()
                raise ReadTimeoutError(endpoint_url=request.url)
            case "gone":
                return answer(request, 410, "GoneException")
            case "unprocessed":
                return leaves_out("user#nobody")(request, send)
        return send()

    clock.slept_s = 0.0
    # Only the catch-up of a handshake raises, so that Lambda runs it again.
    unavailable = container.modules["chat.errors"].Unavailable
    with backend.wire.broken(Fault(ANY, behave)), suppress(unavailable):
        container(event)
    return clock.slept_s


def timeout_of(stack: Stack, container_folder: str) -> float:
    (function,) = (each for each in stack.functions.values() if each.code.name == container_folder)
    return function.timeout_s


@pytest.mark.parametrize("file", ["none", "new", "sent before"])
def test_send_message_ends_before_its_timeout(
    backend: Backend, stack: Stack, clock: Clock, file: str
) -> None:
    def run(choices: Choices) -> float:
        sender, recipient = f"a-{uuid4().hex}", f"b-{uuid4().hex}"
        chat_id = f"{sender}#{recipient}"
        long_ago = events.now() - 60_000
        connection_id = backend.connect(sender, connected_at=long_ago)
        backend.connect(recipient, connected_at=long_ago)
        backend.connect(recipient)  # may be opening
        frame = {"action": "sendmessage", "chatId": chat_id, "text": "x", "clientMessageId": "c"}
        if file != "none":
            upload = {"action": "sendfile", "chatId": chat_id, "fileName": "a.txt"}
            frame["fileKey"] = backend.upload(connection_id, upload | {"contentType": "text/plain"})
        if file == "sent before":  # more than a day ago, so that it is copied
            backend.send(connection_id, frame | {"clientMessageId": "before"})
            grow_old(backend.bucket, frame["fileKey"], timedelta(2))
        if choices.among([True, False]):
            backend.send(connection_id, frame)  # now it is a resend
        backend.send_message.module.authentication._connections._cached.cache_clear()
        event = events.message(connection_id, frame)
        return duration(backend, clock, choices, backend.send_message, event)

    seconds = longest(run)
    print(f"longest chain of send_message, file: {file}: {seconds:.2f} s")
    assert 16 < seconds < timeout_of(stack, "send_message")


@pytest.mark.parametrize("frame", [{"since": 0}, {"chatId": None}, None], ids=str)
def test_reading_ends_before_the_timeout_of_send_message(
    backend: Backend,
    stack: Stack,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    frame: dict[str, Any] | None,
) -> None:
    """Both forms of ``getmessages``, and the catch-up of a handshake (no frame)."""
    # So that five messages are several pages, and several frames.
    monkeypatch.setattr(backend.send_message.modules["chat.messages"], "_PAGE_SIZE", 2)

    def run(choices: Choices) -> float:
        sender, recipient = f"a-{uuid4().hex}", f"b-{uuid4().hex}"
        chat_id = f"{sender}#{recipient}"
        from_id = backend.connect(sender)
        for _ in range(5):
            backend.say(from_id, chat_id, "😀" * 4096)
        backend.wire.queue.clear()
        connection_id = backend.connect(recipient, since="0")
        backend.send_message.module.authentication._connections._cached.cache_clear()
        if frame is None:
            (event,) = backend.wire.queue
        else:
            named = {"chatId": chat_id} if "chatId" in frame else frame
            event = events.message(connection_id, {"action": "getmessages", **named})
        return duration(backend, clock, choices, backend.send_message, event)

    seconds = longest(run)
    print(f"longest chain of reading: {seconds:.2f} s")
    assert 5 < seconds < timeout_of(stack, "send_message")


def test_receipt_ends_before_the_timeout_of_send_message(
    backend: Backend, stack: Stack, clock: Clock
) -> None:
    def run(choices: Choices) -> float:
        sender, recipient = f"a-{uuid4().hex}", f"b-{uuid4().hex}"
        chat_id = f"{sender}#{recipient}"
        from_id = backend.connect(sender, connected_at=events.now() - 60_000)
        backend.connect(recipient)  # may be opening
        reader = backend.connect(recipient, connected_at=events.now() - 60_000)
        backend.say(from_id, chat_id, "x")
        backend.send_message.module.authentication._connections._cached.cache_clear()
        frame = {"action": "sendmessage", "chatId": chat_id, "read": 0}
        event = events.message(reader, frame)
        return duration(backend, clock, choices, backend.send_message, event)

    seconds = longest(run)
    print(f"longest chain of a receipt: {seconds:.2f} s")
    assert 12 < seconds < timeout_of(stack, "send_message")


def test_send_file_ends_before_its_timeout(backend: Backend, stack: Stack, clock: Clock) -> None:
    def run(choices: Choices) -> float:
        user_id = f"a-{uuid4().hex}"
        connection_id = backend.connect(user_id)
        frame = {"action": "sendfile", "chatId": f"{user_id}#user456", "fileName": "a.txt"}
        key = backend.upload(connection_id, frame | {"contentType": "text/plain"})
        backend.send_file.module.authentication._connections._cached.cache_clear()
        event = events.message(
            connection_id, {"action": "sendfile", "chatId": frame["chatId"], "fileKey": key}
        )
        return duration(backend, clock, choices, backend.send_file, event)

    seconds = longest(run)
    print(f"longest chain of send_file: {seconds:.2f} s")
    assert 6 < seconds < timeout_of(stack, "send_file")


@pytest.mark.parametrize("folder", ["send_message", "send_file"])
def test_refusal_of_an_unknown_connection_ends_before_the_timeout(
    backend: Backend, stack: Stack, clock: Clock, folder: str
) -> None:
    """It is looked up, told and closed."""

    def run(choices: Choices) -> float:
        event = events.message(events.new_id(), {"action": "sendfile"})
        return duration(backend, clock, choices, getattr(backend, folder), event)

    seconds = longest(run)
    print(f"longest chain of a refusal: {seconds:.2f} s")
    assert 10 < seconds < timeout_of(stack, folder)


def test_on_disconnect_ends_before_its_timeout(
    backend: Backend, stack: Stack, clock: Clock
) -> None:
    def run(choices: Choices) -> float:
        connection_id = backend.connect(f"a-{uuid4().hex}")
        event = events.disconnect(connection_id)
        return duration(backend, clock, choices, backend.on_disconnect, event)

    seconds = longest(run)
    print(f"longest chain of on_disconnect: {seconds:.2f} s")
    assert 7 < seconds < timeout_of(stack, "on_disconnect")


def test_on_connect_ends_before_its_timeout(
    backend: Backend, stack: Stack, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.on_connect.module.connection_limit, "_max_connections", 1)

    def run(choices: Choices) -> float:
        user_id, now = f"a-{uuid4().hex}", events.now()
        clock.slept_s = 0.0
        monkeypatch.setattr(backend.on_connect.module.connection_limit, "_max_connections", 0)
        for connected_at in (now - _DAY_MS - 60_000, now - 60_000, now - 60_000, now):
            backend.connect(user_id, connected_at=connected_at)
        monkeypatch.setattr(backend.on_connect.module.connection_limit, "_max_connections", 1)
        event = events.connect(events.new_id(), {"userId": user_id, "since": "0"})
        # The open mode asks no issuer. With one, a fetch comes before.
        return FETCH_TIMEOUT_S + duration(backend, clock, choices, backend.on_connect, event)

    seconds = longest(run)
    print(f"longest chain of on_connect: {seconds:.2f} s")
    assert 16 < seconds < timeout_of(stack, "on_connect")
