"""All that is stored of a user, as JSON lines with the files next to them.

Messages are read first: those to the user, then those from the user, chat by chat; or all of them
by a scan. After each page the state is saved, so that an interrupted run goes on from there. Then
come the small files, then the messages are counted again in the tables, and `summary.json` says
that the export is finished.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress

from personal_data import terminal
from personal_data.deployment import Deployment
from personal_data.downloads import Downloads
from personal_data.errors import PersonalDataError, UsageError
from personal_data.export_state import ExportState, write_atomically
from personal_data.rate import Rate
from personal_data.rows import Page, Row, Rows, plain
from personal_data.scan import ScanCost, may_scan

# A message may be stored this long after its timestamp, because a function may run for 29 s, and
# the index lags. What is older is settled, so that it can be counted again at the end.
_SETTLED_MS = 60_000
# Rows that expire sooner may be deleted before they are counted again.
_DAY_S = 24 * 60 * 60
_SUMMARY = "summary.json"


def run(
    deployment: Deployment, rate: Rate, user_id: str, folder: Path, *, scan: bool | None
) -> int:
    """Export a user's data into a folder, or go on with it; return the exit status.

    Raises:
        UsageError: The folder holds something else, or it is not said whether to scan.
        PersonalDataError: What was exported is not what the tables hold.
    """
    if (folder / _SUMMARY).exists():
        _say_finished(folder, user_id)
        return 0
    cost = ScanCost.of(deployment, rate)
    state = ExportState.read(folder)
    if state is None:
        state = _begin(deployment, user_id, folder, scans=partial(may_scan, cost, scan))
    elif (state.user_id, state.table) != (user_id, deployment.names.messages_table):
        raise UsageError(f"{folder} holds an unfinished export of another user or deployment.")
    else:
        terminal.say("The export goes on where it was interrupted.")
    with terminal.progress_bar() as bar:
        export = _Export(deployment, Rows(deployment, rate), folder, state, bar)
        summary = export.run(cost.items)
    terminal.say(f"Exported: {_sentence(summary)}")
    return 0


def _say_finished(folder: Path, user_id: str) -> None:
    summary = json.loads((folder / _SUMMARY).read_text())
    if summary["userId"] != user_id:
        raise UsageError(f"{folder} holds the export of another user.")
    terminal.say(f"This export is finished already: {_sentence(summary)}")


def _begin(
    deployment: Deployment, user_id: str, folder: Path, *, scans: Callable[[], bool]
) -> ExportState:
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty.")
    until = time.time_ns() // 1_000_000 - _SETTLED_MS
    state = ExportState(user_id, deployment.names.messages_table, until, scans())
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / "files").mkdir()
    state.write(folder)
    return state


def _sentence(summary: dict[str, Any]) -> str:
    """Say what was exported."""
    return (
        f"{summary['received']:,} messages to the user and {summary['sent']:,} from the user, in "
        f"{summary['chats']:,} chats, up to {summary['until']}; {summary['files']:,} files with "
        f"{summary['bytes']:,} bytes, {summary['missingFiles']:,} files are gone; "
        f"{summary['receipts']:,} receipts, {summary['connections']:,} rows of connections."
    )


class _Export:
    """One export: `messages.jsonl` grows page by page, the other files are written whole."""

    def __init__(
        self, deployment: Deployment, rows: Rows, folder: Path, state: ExportState, bar: Progress
    ) -> None:
        self._rows = rows
        self._folder = folder
        self._state = state
        self._bar = bar
        self._downloads = Downloads(deployment, folder / "files")
        self._messages = folder / "messages.jsonl"

    def run(self, table_items: int) -> dict[str, Any]:
        """Export what is missing; return the summary.

        Raises:
            PersonalDataError: What was exported is not what the tables hold.
        """
        self._state.truncate(self._messages)
        user_id, until = self._state.user_id, self._state.until
        if self._state.scans:
            scan = partial(self._rows.scan, user_id, until=until)
            self._read("table", [scan], lambda page: page.scanned, total=table_items)
            chats = self._chats()
        else:
            received = partial(self._rows.received, user_id, until=until)
            self._read("messages received", [received], lambda page: page.count, total=None)
            chats = self._chats()
            sent = [partial(self._rows.sent, user_id, each, until=until) for each in chats]
            task = {"total": len(chats), "completed": self._state.step - 1}
            self._read("chats", [received, *sent], lambda page: page.cursor is None, **task)
        counts = {
            "receipts": self._write("receipts", self._rows.receipts(user_id, chats)),
            "connections": self._write("connections", self._rows.connections(user_id)),
        }
        self._verify(chats)
        return self._finish(chats, counts)

    def _read(
        self,
        title: str,
        queries: Sequence[Callable[..., Iterator[Page]]],
        advance: Callable[[Page], int],
        *,
        total: int | None,
        completed: int = 0,
    ) -> None:
        """Read the queries from the state's step on, and write what they find."""
        task = self._bar.add_task(title, total=total, completed=completed)
        for query in queries[self._state.step :]:
            for page in query(cursor=self._state.cursor):
                self._append(page.rows)
                self._state.cursor = page.cursor
                self._state.step += page.cursor is None
                self._state.write(self._folder)
                self._bar.advance(task, advance(page))

    def _append(self, rows: Iterable[Row]) -> None:
        """Write messages, each after its file."""
        lines = "".join(map(_json_line, map(self._with_file, rows)))
        with self._messages.open("a", encoding="utf-8", newline="\n") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
            self._state.length = file.tell()

    def _with_file(self, row: Row) -> dict[str, Any]:
        message = plain(row)
        if "fileKey" in message:
            # None where the object is gone.
            message["savedAs"] = self._downloads.save(message["fileKey"])
        return message

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._messages.open(encoding="utf-8", newline="\n") as file:
            yield from map(json.loads, file)

    def _chats(self) -> list[str]:
        """Return the chats of the messages that are written, in an order that does not change.

        Those that are found here first have messages to the user, and no more are found later.
        """
        return sorted({line["chatId"] for line in self._lines()})

    def _write(self, name: str, pages: Iterable[Page]) -> int:
        """Write the rows of a small file; return how many."""
        rows = [plain(row) for page in pages for row in page.rows]
        write_atomically(self._folder / f"{name}.jsonl", "".join(map(_json_line, rows)))
        return len(rows)

    def _verify(self, chats: list[str]) -> None:
        """Count in the tables what was exported."""
        user_id, until = self._state.user_id, self._state.until
        expires_after = int(time.time()) + _DAY_S
        written = Counter(
            None if line["recipientId"] == user_id else line["chatId"]
            for line in self._lines()
            if line.get("ttl", expires_after + 1) > expires_after
        )
        task = self._bar.add_task("counting again", total=len(chats) + 1)
        for chat_id in (None, *chats):
            stored = self._rows.count(user_id, chat_id, until=until, expires_after=expires_after)
            if stored != written[chat_id]:
                where = "to the user" if chat_id is None else f"from the user in {chat_id}"
                raise PersonalDataError(
                    f"The table holds {stored:,} messages {where}, and the export "
                    f"{written[chat_id]:,}. Delete the folder, and export again."
                )
            self._bar.advance(task)

    def _finish(self, chats: list[str], counts: dict[str, int]) -> dict[str, Any]:
        """Write the summary, which says that the export is finished."""
        user_id = self._state.user_id
        lines = list(self._lines())
        files = {line["fileKey"]: line["savedAs"] for line in lines if "fileKey" in line}
        names = set(filter(None, files.values()))
        self._downloads.remove_others(names)
        summary = {
            "userId": user_id,
            "until": datetime.fromtimestamp(self._state.until / 1000, UTC).isoformat(),
            "scanned": self._state.scans,
            "received": sum(line["recipientId"] == user_id for line in lines),
            "sent": sum(line["senderId"] == user_id for line in lines),
            "chats": len(chats),
            "files": len(names),
            "bytes": self._downloads.total_bytes(),
            "missingFiles": len(files) - len(names),
            **counts,
        }
        write_atomically(self._folder / _SUMMARY, json.dumps(summary, indent=2) + "\n")
        self._state.remove(self._folder)
        return summary


def _json_line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
