import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from moto import mock_aws

from tests.support import events
from tests.support.backend import Backend, Container, Logs
from tests.support.management_api import ManagementApi
from tests.support.network import Fault, Network, Send, throttled
from tests.support.stack import container, loaded

NOW = int(time.time() * 1000)


@pytest.fixture
def limited(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit each user to three connections."""
    monkeypatch.setattr(backend.on_connect.module.connection_limit, "_max_connections", 3)


def fill(backend: Backend, number: int = 3) -> list[str]:
    return [backend.connect("user123", connected_at=NOW - 60_000 + each) for each in range(number)]


@pytest.mark.usefixtures("limited")
def test_new_connection_over_the_limit_closes_the_oldest(backend: Backend, logs: Logs) -> None:
    oldest, *others = fill(backend)
    logs()
    newest = backend.connect("user123")
    assert backend.connections().keys() == {*others, newest}
    assert backend.api.closed == [oldest]
    assert sum(line.get("ConnectionsDisplaced", [0])[0] for line in logs()) == 1


@pytest.mark.usefixtures("limited")
def test_connections_within_the_limit_stay_open(backend: Backend) -> None:
    connections = fill(backend)
    assert backend.connections().keys() == set(connections)
    assert backend.api.closed == []


@pytest.mark.usefixtures("limited")
def test_connections_of_another_user_do_not_count(backend: Backend) -> None:
    fill(backend)
    backend.connect("user456")
    assert backend.api.closed == []
    assert len(backend.connections()) == 4


@pytest.mark.usefixtures("limited")
def test_new_connections_replace_dead_ones_at_the_limit(backend: Backend) -> None:
    dead = fill(backend)
    backend.api.open.clear()
    connected = [backend.connect("user123") for _ in range(3)]
    assert backend.connections().keys() == set(connected)
    assert not backend.connections().keys() & set(dead)
    assert backend.api.closed == []


@pytest.mark.usefixtures("limited")
def test_lowered_limit_closes_all_connections_beyond_it(backend: Backend) -> None:
    backend.on_connect.module.connection_limit._max_connections = 100
    fill(backend, 9)
    backend.on_connect.module.connection_limit._max_connections = 3
    backend.connect("user123")
    assert len(backend.connections()) == 3


@pytest.mark.usefixtures("limited")
def test_connection_that_cannot_be_closed_keeps_its_row(backend: Backend) -> None:
    oldest, *_ = fill(backend)
    backend.api.broken[oldest] = 429
    backend.connect("user123")
    assert oldest in backend.connections()
    assert len(backend.connections()) == 4


@pytest.mark.usefixtures("limited")
def test_failed_removal_of_the_oldest_does_not_refuse_the_handshake(
    backend: Backend, wire: Network
) -> None:
    fill(backend)
    with wire.broken(Fault("dynamodb.DeleteItem", throttled)):
        newest = backend.connect("user123")
    assert newest in backend.connections()


@pytest.mark.usefixtures("limited")
def test_connection_that_may_still_be_opening_keeps_its_row(backend: Backend) -> None:
    opening = backend.connect("user123", connected_at=events.now() - 10_000)
    backend.api.open.remove(opening)
    connected = [backend.connect("user123") for _ in range(3)]
    assert backend.connections().keys() == {opening, *connected}


@pytest.mark.usefixtures("limited")
def test_handshake_succeeds_if_closing_the_oldest_times_out(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest, *others = fill(backend, 3)
    backend.on_connect.module.connection_limit._max_connections = 1
    monkeypatch.setattr(backend.on_connect.modules["chat.connection_limit"], "_TIMEOUT_S", -1)
    newest = backend.connect("user123")
    assert backend.connections().keys() == {oldest, *others, newest}


@pytest.mark.usefixtures("limited")
def test_failed_update_of_the_user_row_refuses_the_handshake(
    backend: Backend, wire: Network
) -> None:
    with wire.broken(Fault("dynamodb.UpdateItem", throttled)):
        assert backend.try_to_connect("user123") is None
    assert backend.listed("user123") == set()


@pytest.mark.usefixtures("limited")
def test_two_concurrent_handshakes_close_the_two_oldest(backend: Backend, wire: Network) -> None:
    *oldest, youngest = fill(backend)
    barrier = Barrier(2)

    def wait_for_the_other(_: object, send: Send) -> Any:
        barrier.wait(10)
        return send()

    with (
        wire.broken(Fault("dynamodb.UpdateItem", wait_for_the_other, times=2)),
        ThreadPoolExecutor(2) as threads,
    ):
        newest = set(threads.map(lambda _: backend.connect("user123"), range(2)))
    assert set(backend.api.closed) == set(oldest)
    assert backend.listed("user123") == backend.connections().keys() == {youngest, *newest}


def test_expired_connection_is_removed_from_the_user_row(backend: Backend) -> None:
    backend.connect("user123", connected_at=NOW - 25 * 60 * 60 * 1000)
    newest = backend.connect("user123", connected_at=NOW)
    assert backend.listed("user123") == {newest}


@pytest.mark.usefixtures("limited")
def test_refused_handshake_closes_no_connection(backend: Backend, wire: Network) -> None:
    connections = fill(backend)
    with wire.broken(Fault("dynamodb.PutItem", throttled)):
        assert backend.try_to_connect("user123") is None
    assert backend.api.closed == []
    assert backend.connections().keys() == set(connections)


def test_template_parameter_sets_the_connection_limit(
    api: ManagementApi, tmp_path: Path, backend: Backend
) -> None:
    function = on_connect(api, tmp_path, 1)
    first, second = events.new_id(), events.new_id()
    for connection_id, at in ((first, NOW - 1), (second, NOW)):
        backend.api.open.add(connection_id)
        function(events.connect(connection_id, {"userId": "user123"}, connected_at=at))
    assert backend.api.closed == [first]
    assert backend.connections() == {second: "user123"}


@pytest.mark.usefixtures("backend")
def test_limit_of_zero_closes_no_connection(
    api: ManagementApi, tmp_path: Path, wire: Network
) -> None:
    function = on_connect(api, tmp_path, 0)
    wire.calls.clear()
    function(events.connect(events.new_id(), {"userId": "user123"}))
    assert sorted(wire.calls) == ["dynamodb.PutItem", "dynamodb.UpdateItem"]


def on_connect(api: ManagementApi, tmp_path: Path, max_connections: int) -> Container:
    stack = loaded(tmp_path, MaxConnectionsPerUser=str(max_connections))
    (on_connect_function,) = (
        each for each in stack.functions.values() if each.code.name == "on_connect"
    )
    with mock_aws():
        return container(on_connect_function, stack, api)
