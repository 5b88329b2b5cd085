"""Fixtures that several kinds of test share."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws

from local.template.model import Stack
from tests.support.backend import Backend, Container, Logs
from tests.support.embedded_storage import empty_storage
from tests.support.management_api import ManagementApi, management_api
from tests.support.network import Network, between_botocore_and_moto
from tests.support.stack import ENDPOINT, bucket_of, containers, loaded
from tests.support.subscriber import TOPIC_ARN, Subscriber

_TESTS = Path(__file__).parent
_WAITING = ("bench", "soak", "browser", "attacks", "smoke", "e2e", "conformance")
_MEASURED = ("local", "personal_data", "integration", "unit")
_ORDER = (*_WAITING, *_MEASURED)
# `make test` leaves them to `make test-all`, as it does what is marked in its module.
_SLOW = {"bench", "soak", "browser", "attacks", "smoke"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Decide in which order the folders run, which are slow, and which tests measure coverage.

    Tests that wait for other processes come first: they leave time to the others, and the longest
    test does not begin last. Then come those that cover the code. The rest run faster without
    measuring, and last: a process stops to measure once, and never begins again.
    """
    items.sort(key=_place_of)
    for item in items:
        if _folder_of(item) in _SLOW:
            item.add_marker("slow")


def _folder_of(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).parts[0]


def _place_of(item: pytest.Item) -> int:
    folder = _folder_of(item)
    return _ORDER.index(folder) if folder in _ORDER else len(_ORDER)


# Not pytest-cov's mark `no_cover`, which stops and begins again at each test. The workers of the
# suite, which have many threads, then died now and then (`Fatal Python error: Aborted`).
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stop to measure before the first test that needs no measuring."""
    coverage = item.config.pluginmanager.getplugin("_cov")
    if coverage is not None and _place_of(item) == len(_ORDER):
        coverage.cov_controller.pause()


# pytest-xdist need not be loaded.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.support.scheduling import SharedFixtureScheduling  # noqa: PLC0415 -- see above

    return SharedFixtureScheduling(config, log)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The template, transformed and resolved."""
    return loaded(tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="session")
def _api() -> Iterator[ManagementApi]:
    with management_api() as api:
        yield api


@pytest.fixture
def api(_api: ManagementApi) -> ManagementApi:
    """The other ends of the connections."""
    _api.forget()
    return _api


@pytest.fixture
def wire() -> Iterator[Network]:
    """The network between the functions and AWS."""
    with between_botocore_and_moto(Network()) as between:
        yield between


@pytest.fixture(scope="session")
def _containers(stack: Stack, _api: ManagementApi) -> dict[str, Container]:
    with mock_aws():
        return containers(stack, _api)


@pytest.fixture(scope="session")
def _clients(stack: Stack) -> dict[str, Any]:
    """The test's own clients, made once: to make one takes longer than most tests."""
    with mock_aws():
        return {name: boto3.client(name, stack.region) for name in ("dynamodb", "s3")}


@pytest.fixture(scope="session")
def notifying_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The template, with a topic for messages that wait."""
    return loaded(tmp_path_factory.mktemp("scratch"), WaitingTopicArn=TOPIC_ARN)


@pytest.fixture(scope="session")
def _notifying(notifying_stack: Stack, _api: ManagementApi) -> dict[str, Container]:
    with mock_aws():
        return containers(notifying_stack, _api)


@pytest.fixture(scope="session")
def retaining_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The template, with messages that are kept for 30 days."""
    return loaded(tmp_path_factory.mktemp("scratch"), MessageRetentionDays="30")


@pytest.fixture(scope="session")
def _retaining(retaining_stack: Stack, _api: ManagementApi) -> dict[str, Container]:
    with mock_aws():
        return containers(retaining_stack, _api)


@pytest.fixture
def functions(_containers: dict[str, Container]) -> dict[str, Container]:
    """The containers of the deployment; modules of tests may choose others."""
    return _containers


@pytest.fixture
def notifying_functions(_notifying: dict[str, Container]) -> dict[str, Container]:
    """Those of a deployment with a topic for messages that wait."""
    return _notifying


@pytest.fixture
def retaining_functions(_retaining: dict[str, Container]) -> dict[str, Container]:
    """Those of a deployment that keeps messages for 30 days."""
    return _retaining


@pytest.fixture
def subscriber(backend: Backend, stack: Stack) -> Subscriber:
    """A new queue that subscribes to that topic."""
    client: Any = boto3.client  # its types are those of single services
    made = Subscriber(lambda name: client(name, stack.region), f"queue-{uuid4()}")
    backend.wire.calls.clear()
    return made


@pytest.fixture
def backend(
    stack: Stack,
    api: ManagementApi,
    wire: Network,
    functions: dict[str, Container],
    _clients: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Backend]:
    """A deployment with empty tables. Its containers are warm, but know none of its connections."""
    # Pauses between attempts are botocore's business, and no test's.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    modules = functions["send_message"].modules
    monkeypatch.setattr(modules["chat.messages"], "STORE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(modules["chat.retry"], "_FIRST_PAUSE_S", 0.002)
    # Nothing lags here but in the tests that say so.
    monkeypatch.setattr(modules["chat.catch_up"], "INDEX_LAG_S", 0)
    # Clients that are made only when they are needed are made now.
    monkeypatch.setenv("AWS_DEFAULT_REGION", stack.region)
    monkeypatch.setenv(ENDPOINT, api.url)
    with empty_storage(stack, **_clients):
        wire.calls.clear()
        yield Backend(**functions, **_clients, api=api, wire=wire, bucket=bucket_of(stack))


@pytest.fixture
def logs(
    backend: Backend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Logs:
    """Read what has been logged since the last time."""
    for container in backend.containers():
        handler = container.modules["chat.telemetry"].logger.registered_handler
        monkeypatch.setattr(handler, "stream", _StandardOutput())
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class _StandardOutput:
    """Whatever standard output is by now: pytest changes it, and a logger would hold on to it."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()
