"""The folder of `--data`: a SQLite file, which a crash of the runner cannot corrupt."""

import fcntl
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError

_FILE = "tables-and-files.sqlite"
_LOCK = "lock"
# Which folder has which form. Raise it with each change of the tables below.
_VERSION = 1
_TABLES = (
    "CREATE TABLE items (source TEXT, key TEXT, item TEXT NOT NULL, PRIMARY KEY (source, key))",
    """CREATE TABLE files (
        bucket TEXT, path TEXT, headers TEXT NOT NULL, tags TEXT NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (bucket, path)
    )""",
    "CREATE TABLE database (id TEXT NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file: its path with the bucket, headers in JSON, tags in a query string, and content."""

    path: str
    headers: str
    tags: str
    content: bytes


@contextmanager
def locked(folder: Path) -> Iterator[str]:
    """Keep other runners from the folder; yield the id of its database.

    Raises:
        LocalError: If the folder cannot be used, or has data that this version cannot read.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
    except OSError as error:
        raise LocalError(f"--data {folder} cannot be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LocalError(f"--data {folder} is in use by another runner") from None
        yield _prepare(folder / _FILE)


def _prepare(file: Path) -> str:
    """Create the tables in a new file; return the id of the database."""
    try:
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for table in _TABLES:
                connection.execute(table)
            connection.execute("INSERT INTO database VALUES (?)", (uuid.uuid4().hex,))
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise LocalError(f"{file} is of another version of the runner")
        (database_id,) = connection.execute("SELECT id FROM database").fetchone()
        connection.execute("COMMIT")
        connection.close()
    except sqlite3.Error as error:
        raise LocalError(f"{file} cannot be used: {error}") from error
    return str(database_id)


class DataFolder:
    """Items and files as they were after the last write.

    Args:
        folder: One that `locked` has prepared.

    """

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / _FILE, isolation_level=None)
        # A write takes a fraction of a millisecond. Only a crash of the machine itself can lose
        # the last ones, and it cannot corrupt the file: https://sqlite.org/wal.html.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def items(self, source: str) -> list[str]:
        """Return the items of a table, in JSON."""
        found = self._connection.execute("SELECT item FROM items WHERE source = ?", (source,))
        return [item for (item,) in found]

    def put_items(self, items: list[tuple[str, str, str | None]]) -> None:
        """Store items, all of them or none.

        Args:
            items: The table, the key, and the item, all in JSON; `None` where it is deleted.

        """
        self._connection.execute("BEGIN")
        for source, key, item in items:
            if item is None:
                self._connection.execute(
                    "DELETE FROM items WHERE source = ? AND key = ?", (source, key)
                )
            else:
                self._connection.execute(
                    "INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (source, key, item)
                )
        self._connection.execute("COMMIT")

    def delete_table(self, source: str) -> None:
        """Delete the items of a table."""
        self._connection.execute("DELETE FROM items WHERE source = ?", (source,))

    def files(self, bucket: str) -> Iterator[StoredFile]:
        """Yield the files of a bucket."""
        found = self._connection.execute(
            "SELECT path, headers, tags, content FROM files WHERE bucket = ?", (bucket,)
        )
        for row in found:
            yield StoredFile(*row)

    def paths(self, bucket: str) -> list[str]:
        """Return the paths of the files of a bucket."""
        found = self._connection.execute("SELECT path FROM files WHERE bucket = ?", (bucket,))
        return [path for (path,) in found]

    def put_file(self, bucket: str, file: StoredFile) -> None:
        """Store a file."""
        self._connection.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
            (bucket, file.path, file.headers, file.tags, file.content),
        )

    def put_tags(self, path: str, tags: str) -> None:
        """Store the tags of a file."""
        self._connection.execute("UPDATE files SET tags = ? WHERE path = ?", (tags, path))

    def delete_file(self, path: str) -> None:
        """Delete a file."""
        self._connection.execute("DELETE FROM files WHERE path = ?", (path,))
