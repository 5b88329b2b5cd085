"""Make the global secondary indexes of moto's DynamoDB lag behind their tables, as on AWS.

DynamoDB updates global secondary indexes asynchronously, usually within a fraction of a second:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html. Moto reads indexes from
the table, so that they are always up to date.

In a test, around or inside `moto.mock_aws`:

    with LaggingIndexes(lambda: 0.2):
        ...
"""

import contextlib
import copy
import functools
import heapq
import inspect
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, ClassVar, Self

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from local.patches import moto_patches
from local.patches.versions import require_checked_version

type Key = tuple[DynamoType, DynamoType | None]
type Method = Callable[..., Any]


class LaggingIndexes:
    """Show each write in the global secondary indexes some time after it happened.

    Writes to different rows may become visible in another order than they were made; writes to
    the same row never do. Base tables, local secondary indexes and PartiQL statements do not lag.
    Rows from before the installation are visible at once.

    Args:
        lag_s: Returns the lag of one write, in seconds. Called once for each row written.
        clock: Returns the time, in seconds.

    """

    _installed: ClassVar["LaggingIndexes | None"] = None

    def __init__(
        self, lag_s: Callable[[], float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lag_s = lag_s
        self._clock = clock
        # In-process tests may call moto from several threads.
        self._lock = threading.RLock()
        self._written: dict[tuple[Table, Key], None] | None = None
        self._originals: list[tuple[type, str, Method]] = []

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.uninstall()

    def install(self) -> None:
        """Patch moto's classes.

        Raises:
            RuntimeError: If indexes lag already.
            LocalError: If moto has a version that was not checked.

        """
        require_checked_version("moto")
        if LaggingIndexes._installed is not None:
            raise RuntimeError("indexes lag already")
        LaggingIndexes._installed = self
        # Views from an earlier installation have missed the writes since then.
        self._installation = object()
        for methods, wrap in (
            (moto_patches.TABLE_WRITES, self._wrap_table_write),
            (moto_patches.UPDATES, self._wrap_update),
            (moto_patches.TRANSACTIONS, self._wrap_transaction),
            (moto_patches.INDEX_READS, self._wrap_read),
        ):
            for owner, name in methods:
                self._patch(owner, name, wrap)

    def uninstall(self) -> None:
        """Restore moto's classes; its indexes are up to date again."""
        while self._originals:
            owner, name, original = self._originals.pop()
            setattr(owner, name, original)
        LaggingIndexes._installed = None

    def _patch(self, owner: type, name: str, wrap: Callable[[Method], Method]) -> None:
        original: Method = getattr(owner, name)
        self._originals.append((owner, name, original))
        setattr(owner, name, functools.wraps(original)(wrap(original)))

    def _wrap_table_write(self, original: Method) -> Method:
        def write(table: Table, *args: Any, **more: Any) -> Any:
            with self._writing():
                self._view_of(table)
                item: Item | None = original(table, *args, **more)
                self._add(table, item)
                return item

        return write

    def _wrap_update(self, original: Method) -> Method:
        # Moto updates an item in place, and a new one only after it has put an empty one.
        def update(backend: DynamoDBBackend, table_name: str, *args: Any, **more: Any) -> Any:
            with self._writing():
                table = backend.get_table(table_name)
                self._view_of(table)
                item: Item = original(backend, table_name, *args, **more)
                self._add(table, item)
                return item

        return update

    def _wrap_transaction(self, original: Method) -> Method:
        def transact(backend: DynamoDBBackend, *args: Any, **more: Any) -> Any:
            with self._writing() as written:
                try:
                    return original(backend, *args, **more)
                except Exception:
                    written.clear()  # moto rolls them back
                    raise

        return transact

    def _wrap_read(self, original: Method) -> Method:
        signature = inspect.signature(original)

        def read(table: Table, *args: Any, **more: Any) -> Any:
            index = signature.bind(table, *args, **more).arguments.get("index_name")
            if index not in {each.name for each in table.global_indexes}:
                return original(table, *args, **more)
            with self._lock:
                view = self._view_of(table)
                assert view is not None  # noqa: S101 -- for mypy
                view.show_due_writes(self._clock())
                # Not `copy.copy`: moto keeps a list of all tables that are made like that.
                lagging: Any = object.__new__(type(table))
                lagging.__dict__.update(table.__dict__, items=view.items)
                return original(lagging, *args, **more)

        return read

    @contextlib.contextmanager
    def _writing(self) -> Iterator[dict[tuple[Table, Key], None]]:
        """Collect the rows that a call writes; queue them for the indexes when it is over.

        A call inside a call, like each of a transaction, adds to the rows of the outer one.
        """
        with self._lock:
            if self._written is not None:
                yield self._written
                return
            self._written = {}
            try:
                yield self._written
            finally:
                written, self._written = self._written, None
                for table, key in written:
                    self._queue(table, key)

    def _add(self, table: Table, item: Item | None) -> None:
        if item is not None and table.global_indexes and self._written is not None:
            self._written[table, (item.hash_key, item.range_key)] = None

    def _queue(self, table: Table, key: Key) -> None:
        view = self._view_of(table)
        if view is None:
            return
        now = self._clock()
        # A copy: moto's next update writes into the item itself.
        view.queue(key, copy.deepcopy(table.get_item(*key)), now + self._lag_s())
        # Here too: otherwise a table whose indexes are not read would keep a copy of each write.
        view.show_due_writes(now)

    def _view_of(self, table: Table) -> "_IndexView | None":
        """Return the table's view. Call it before a write, which a new view would show."""
        if not table.global_indexes:
            return None
        attributes: dict[str, Any] = table.__dict__
        view: _IndexView | None = attributes.get("_index_lag")
        if view is None or view.installation is not self._installation:
            view = attributes["_index_lag"] = _IndexView(table, self._installation)
        return view


class _IndexView:
    """The items that a table's global secondary indexes show, and the writes still pending."""

    def __init__(self, table: Table, installation: object) -> None:
        self.installation = installation
        self.items: Any = copy.deepcopy(table.items)
        self._pending: list[tuple[float, int, Key, Item | None]] = []
        self._numbers = itertools.count()
        # By row, when its newest pending write becomes visible.
        self._newest: dict[Key, float] = {}

    def __deepcopy__(self, memo: object) -> Self:
        # Moto rolls a transaction back to a deep copy of the table, which must not lose the pending
        # writes.
        return self

    def queue(self, key: Key, item: Item | None, visible_at: float) -> None:
        """Queue a write, to be visible at a time, but after earlier writes to the same row."""
        visible_at = max(visible_at, self._newest.get(key, visible_at))
        self._newest[key] = visible_at
        # The number keeps writes with the same time in order.
        heapq.heappush(self._pending, (visible_at, next(self._numbers), key, item))

    def show_due_writes(self, now: float) -> None:
        """Show the writes that are due."""
        while self._pending and self._pending[0][0] <= now:
            visible_at, _, key, item = heapq.heappop(self._pending)
            if self._newest.get(key) == visible_at:
                del self._newest[key]
            self._show(key, item)

    def _show(self, key: Key, item: Item | None) -> None:
        hash_key, range_key = key
        if range_key is None:
            if item is None:
                self.items.pop(hash_key, None)
            else:
                self.items[hash_key] = item
        elif item is not None:
            self.items[hash_key][range_key] = item
        else:
            rows = self.items[hash_key]
            rows.pop(range_key, None)
            if not rows:
                del self.items[hash_key]
