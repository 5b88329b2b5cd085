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
    """Three for each user."""
    monkeypatch.setattr(backend.on_connect.module.connection_limit, "_max_connections", 3)


def fill(backend: Backend, number: int = 3) -> list[str]:
    return [backend.connect("user123", connected_at=NOW - 60_000 + each) for each in range(number)]


@pytest.mark.usefixtures("limited")
def test_the_oldest_gives_way_to_the_newest(backend: Backend, logs: Logs) -> None:
    oldest, *others = fill(backend)
    logs()
    newest = backend.connect("user123")
    assert backend.connections().keys() == {*others, newest}
    assert backend.api.closed == [oldest]
    assert sum(line.get("ConnectionsDisplaced", [0])[0] for line in logs()) == 1


@pytest.mark.usefixtures("limited")
def test_as_many_as_may_be_are_left_alone(backend: Backend) -> None:
    filled = fill(backend)
    assert backend.connections().keys() == set(filled)
    assert backend.api.closed == []


@pytest.mark.usefixtures("limited")
def test_each_user_has_a_limit_alone(backend: Backend) -> None:
    fill(backend)
    backend.connect("user456")
    assert backend.api.closed == []
    assert len(backend.connections()) == 4


@pytest.mark.usefixtures("limited")
def test_dead_connections_lock_no_one_out(backend: Backend) -> None:
    dead = fill(backend)
    backend.api.open.clear()
    living = [backend.connect("user123") for _ in range(3)]
    assert backend.connections().keys() == set(living)
    assert not backend.connections().keys() & set(dead)
    assert backend.api.closed == []


@pytest.mark.usefixtures("limited")
def test_lowered_limit_closes_all_beyond_it(backend: Backend) -> None:
    backend.on_connect.module.connection_limit._max_connections = 100
    fill(backend, 9)
    backend.on_connect.module.connection_limit._max_connections = 3
    backend.connect("user123")
    assert len(backend.connections()) == 3


@pytest.mark.usefixtures("limited")
def test_one_that_cannot_be_closed_keeps_its_row(backend: Backend) -> None:
    oldest, *_ = fill(backend)
    backend.api.broken[oldest] = 429
    backend.connect("user123")
    assert oldest in backend.connections()
    assert len(backend.connections()) == 4


@pytest.mark.usefixtures("limited")
def test_failed_removal_does_not_refuse_the_handshake(backend: Backend, wire: Network) -> None:
    fill(backend)
    with wire.broken(Fault("dynamodb.DeleteItem", throttled)):
        newest = backend.connect("user123")
    assert newest in backend.connections()


@pytest.mark.usefixtures("limited")
def test_one_that_may_still_be_opening_keeps_its_row(backend: Backend) -> None:
    opening = backend.connect("user123", connected_at=events.now() - 10_000)
    backend.api.open.remove(opening)
    living = [backend.connect("user123") for _ in range(3)]
    assert backend.connections().keys() == {opening, *living}


@pytest.mark.usefixtures("limited")
def test_closing_others_ends_before_api_gateway_stops_waiting(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest, *others = fill(backend, 3)
    backend.on_connect.module.connection_limit._max_connections = 1
    monkeypatch.setattr(backend.on_connect.modules["chat.connection_limit"], "_TIMEOUT_S", -1)
    newest = backend.connect("user123")
    assert backend.connections().keys() == {oldest, *others, newest}


@pytest.mark.usefixtures("limited")
def test_failed_update_of_the_users_row_refuses_the_handshake(
    backend: Backend, wire: Network
) -> None:
    with wire.broken(Fault("dynamodb.UpdateItem", throttled)):
        assert backend.try_to_connect("user123") is None
    assert backend.listed("user123") == set()


@pytest.mark.usefixtures("limited")
def test_two_connections_at_once_close_the_two_oldest(backend: Backend, wire: Network) -> None:
    *oldest, youngest = fill(backend)
    together = Barrier(2)

    def meet(_: object, carry: Send) -> Any:
        together.wait(10)
        return carry()

    with (
        wire.broken(Fault("dynamodb.UpdateItem", meet, times=2)),
        ThreadPoolExecutor(2) as threads,
    ):
        newest = set(threads.map(lambda _: backend.connect("user123"), range(2)))
    assert set(backend.api.closed) == set(oldest)
    assert backend.listed("user123") == backend.connections().keys() == {youngest, *newest}


def test_expired_connections_leave_the_users_row(backend: Backend) -> None:
    backend.connect("user123", connected_at=NOW - 25 * 60 * 60 * 1000)
    newest = backend.connect("user123", connected_at=NOW)
    assert backend.listed("user123") == {newest}


@pytest.mark.usefixtures("limited")
def test_who_cannot_be_let_in_displaces_no_one(backend: Backend, wire: Network) -> None:
    filled = fill(backend)
    with wire.broken(Fault("dynamodb.PutItem", throttled)):
        assert backend.try_to_connect("user123") is None
    assert backend.api.closed == []
    assert backend.connections().keys() == set(filled)


def test_a_deployment_says_how_many(api: ManagementApi, tmp_path: Path, backend: Backend) -> None:
    door = on_connect(api, tmp_path, 1)
    first, second = events.new_id(), events.new_id()
    for connection_id, at in ((first, NOW - 1), (second, NOW)):
        backend.api.open.add(connection_id)
        door(events.connect(connection_id, {"userId": "user123"}, connected_at=at))
    assert backend.api.closed == [first]
    assert backend.connections() == {second: "user123"}


@pytest.mark.usefixtures("backend")
def test_without_a_limit_none_is_closed(api: ManagementApi, tmp_path: Path, wire: Network) -> None:
    door = on_connect(api, tmp_path, 0)
    wire.calls.clear()
    door(events.connect(events.new_id(), {"userId": "user123"}))
    assert sorted(wire.calls) == ["dynamodb.PutItem", "dynamodb.UpdateItem"]


def on_connect(api: ManagementApi, tmp_path: Path, most: int) -> Container:
    stack = loaded(tmp_path, MaxConnectionsPerUser=str(most))
    (function,) = (each for each in stack.functions.values() if each.code.name == "on_connect")
    with mock_aws():
        return container(function, stack, api)
