"""An embedded DynamoDB and S3: moto, in a process of its own.

Run as a module, on a listening socket that it inherits:

    python -m local.storage.moto_server FD MIN_LAG MAX_LAG MIN_DELAY MAX_DELAY

The lags are those of global secondary indexes, the delays those of DynamoDB's writes, in seconds.
It ends when its standard input does, so that it never outlives the runner.
"""

import asyncio
import copy
import functools
import inspect
import io
import os
import random
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import moto.core.responses
import uvicorn
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local.storage.index_lag import LaggingIndexes

type Scope = dict[str, Any]

_WRITES = {
    f"DynamoDB_20120810.{operation}".encode()
    for operation in (
        "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems",
    )
}  # fmt: skip


class Moto(DomainDispatcherApplication):
    """Moto's dispatcher, which would look through its own folders at every request."""

    def __init__(self) -> None:
        """Make the dispatcher of all services."""
        super().__init__(create_backend_app)
        self._backends: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        """Look up the service behind a host name, once."""
        if host not in self._backends:
            self._backends[host] = super().get_backend_for_host(host)
        return self._backends[host]


class Journal:
    """Rolls back a failed transaction, by the items that it touched.

    Moto itself makes a deep copy of a whole table for every item of a transaction, which takes
    longer with each message that is stored.
    """

    def __init__(self, tables: dict[str, Table], operations: list[dict[str, Any]]) -> None:
        """Remember what the operations are about to change."""
        self._items: list[tuple[Table, DynamoType, DynamoType | None, Item | None]] = []
        for operation in operations:
            ((kind, details),) = operation.items()
            table = tables.get(details["TableName"])
            key = details["Item" if kind == "Put" else "Key"]
            if table is None or table.hash_key_attr not in key:
                continue  # moto will refuse it
            hash_key = DynamoType(key[table.hash_key_attr])
            range_key = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
            item = table.get_item(hash_key, range_key)
            self._items.append((table, hash_key, range_key, item))
            if kind == "Update" and item is not None:  # the one that writes into the item itself
                self._put(table, hash_key, range_key, copy.deepcopy(item))

    def roll_back(self) -> None:
        """Put every item back as it was."""
        for table, hash_key, range_key, item in self._items:
            if item is not None:
                self._put(table, hash_key, range_key, item)
            else:
                table.delete_item(hash_key, range_key)

    @staticmethod
    def _put(table: Table, hash_key: DynamoType, range_key: DynamoType | None, item: Item) -> None:
        items: Any = table.items
        if range_key is None:
            items[hash_key] = item
        else:
            items[hash_key][range_key] = item


def use_journal() -> None:
    """Make moto's transactions roll back by a journal."""
    transact = DynamoDBBackend.transact_write_items

    def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        journal = Journal(self.tables, transact_items)
        # What moto now copies for its own rollback is the table itself.
        Table.__deepcopy__ = lambda table, _memo: table  # type: ignore[attr-defined]
        try:
            transact(self, transact_items)
        except Exception:
            journal.roll_back()
            raise
        finally:
            del Table.__deepcopy__  # type: ignore[attr-defined]

    DynamoDBBackend.transact_write_items = transact_write_items  # type: ignore[method-assign]


def use_direct_queries() -> None:
    """Make moto's queries look only where they must.

    Moto sorts all items of a table before it picks those that are asked for, and sorts these again.
    """
    query: Any = Table.query
    all_items = Table.all_items
    signature = inspect.signature(query)

    @functools.wraps(query)
    def direct_query(*args: Any, **more: Any) -> Any:
        asked = signature.bind(*args, **more).arguments

        def candidates(table: Table) -> list[Any]:
            keys = list(table.items) if asked["index_name"] else [asked["hash_key"]]
            found: list[Any] = [table.items[key] for key in keys if key in table.items]
            if not table.range_key_attr:
                return found
            return [item for by_range_key in found for item in by_range_key.values()]

        Table.all_items = candidates  # type: ignore[method-assign, assignment]
        try:
            return query(*args, **more)
        finally:
            Table.all_items = all_items  # type: ignore[method-assign]

    Table.query = direct_query  # type: ignore[method-assign]


def remember_method_names() -> None:
    """Have moto look up the methods of a service once, and not with each request."""
    responses: Any = moto.core.responses
    responses.method_names_from_class = functools.cache(responses.method_names_from_class)


class OneAtATime:
    """An ASGI application that lets one request after another into moto.

    DynamoDB's conditional writes are atomic; moto checks first and writes then. So it runs in the
    event loop itself, where nothing comes between. (Moto's own threaded server also takes twice as
    long for the same requests.)

    Args:
        write_delay_s: Returns how long a write to DynamoDB takes, in seconds.

    """

    def __init__(self, write_delay_s: Callable[[], float]) -> None:
        self._moto = Moto()
        self._write_delay_s = write_delay_s

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request, once its body is there."""
        chunks, more = [], True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        if dict(scope["headers"]).get(b"x-amz-target") in _WRITES:
            await asyncio.sleep(self._write_delay_s())
        start: list[Any] = []
        body = b"".join(
            self._moto(_environ(scope, b"".join(chunks)), lambda *args: start.extend(args))
        )
        status, headers = start[0], start[1]
        await send(
            {
                "type": "http.response.start",
                "status": int(status.split()[0]),
                "headers": [
                    (key.encode("latin-1"), value.encode("latin-1")) for key, value in headers
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """Translate a request from ASGI to WSGI."""
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": f"{path}?{query}" if query else path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": os.environ["MOTO_PORT"],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in {"CONTENT_LENGTH", "TRANSFER_ENCODING"}:
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value.decode("latin-1")
    return environ


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    use_journal()
    use_direct_queries()
    remember_method_names()
    descriptor = int(sys.argv[1])
    min_lag, max_lag, *delay = map(float, sys.argv[2:])
    if max_lag:
        # After the journal, whose rollbacks must not reach the indexes.
        LaggingIndexes(lambda: random.uniform(min_lag, max_lag)).install()  # noqa: S311 - no secret
    moto = OneAtATime(lambda: random.uniform(*delay))  # noqa: S311 - no secret
    config = uvicorn.Config(
        moto, http="httptools", ws="none", lifespan="off", log_config=None,
        access_log=False, log_level="error", timeout_keep_alive=600,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
