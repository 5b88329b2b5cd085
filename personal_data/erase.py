"""Erase what a user wrote: messages become tombstones, files and receipts go, connections close.

No state is kept. What is erased is not found again, so a run that was interrupted is continued by
another one, and a run after a complete one changes nothing. The first pass is followed by others
until one finds nothing: that verifies the erasure, and erases what the user wrote meanwhile.
"""

from collections import Counter, defaultdict
from contextlib import suppress

from rich.progress import Progress

from personal_data import terminal
from personal_data.chat_files import ChatFiles
from personal_data.connections import UserConnections
from personal_data.deployment import Deployment
from personal_data.errors import PersonalDataError
from personal_data.rate import Rate
from personal_data.rows import Rows, capacity_of
from personal_data.scan import ScanCost, may_scan
from personal_data.tombstones import Change, ChatErasure

_MAX_PASSES = 5
_NOT_REACHED = """\
What this cannot reach:
- backups: point-in-time recovery goes back up to 35 days; other backups that you made
- earlier versions of files, if you turned versioning of the bucket on
- log lines, until LogRetentionDays: ids of users, connections and messages; no texts or file names
- in the tables: the user's id, and of each message the time, the ids and the client message id
- the devices of both users, and what the other user received, copied or wrote about it
- subscribers of WaitingTopicArn: ids and times
- exports, and other copies that you made
The user can still connect and write: take away the access at the issuer first."""
_NOT_SCANNED = (
    "Without --scan, messages in chats in which nobody answered the user stay as they are."
)


def run(deployment: Deployment, rate: Rate, user_id: str, *, scan: bool | None, acts: bool) -> int:
    """Erase a user's data, or, unless it `acts`, only count it; return the exit status.

    Raises:
        UsageError: It is not said whether to scan.
        PersonalDataError: The user wrote on while the data was erased.
    """
    cost = ScanCost.of(deployment, rate)
    scans = may_scan(cost, scan)
    with terminal.progress_bar() as bar:
        erasure = _Erasure(deployment, rate, user_id, bar, acts=acts)
        if scans:
            erasure.scan(cost.items)
        found = erasure.run()
    for line in (_result(found, acts=acts), *erasure.remarks(), _NOT_REACHED):
        terminal.say(line)
    if not scans:
        terminal.say(_NOT_SCANNED)
    return 0


def _result(found: Counter[str], *, acts: bool) -> str:
    if not found.total():
        return "There is nothing to erase."
    counts = (
        f"{found['messages']:,} messages from the user, {found['files']:,} files, the file of "
        f"{found['others']:,} messages from others, {found['unsent']:,} files that were never "
        f"sent, {found['receipts']:,} receipts, {found['connections']:,} connections."
    )
    if acts:
        return f"Erased, and found erased by reading again: {counts}"
    return f"To erase (nothing is changed without --yes): {counts}"


class _Erasure:
    """The erasure of one user's data."""

    def __init__(
        self, deployment: Deployment, rate: Rate, user_id: str, bar: Progress, *, acts: bool
    ) -> None:
        self._deployment = deployment
        self._names = deployment.names
        self._dynamodb = deployment.dynamodb
        self._rows = Rows(deployment, rate)
        self._rate = rate
        self._user_id = user_id
        self._bar = bar
        self._acts = acts
        self._chats: set[str] = set()
        # By chat. Once the user's own messages are erased, nothing says whose they were.
        self._files: dict[str, set[str]] = defaultdict(set)
        self._sendable = 0

    def scan(self, table_items: int) -> None:
        """Find the user's chats by reading the whole table."""
        task = self._bar.add_task("table", total=table_items)
        for page in self._rows.scan(self._user_id):
            self._chats.update(row["chatId"]["S"] for row in page.rows)
            self._bar.advance(task, page.scanned)

    def run(self) -> Counter[str]:
        """Erase until there is nothing to erase; return how much there was, by kind.

        Raises:
            PersonalDataError: There was something each time.
        """
        found = last = self._pass()
        passes = 1
        while self._acts and last.total():
            if passes == _MAX_PASSES:
                raise PersonalDataError(
                    "The user writes on: there was more to erase each time. Take away the access "
                    "at the issuer, and run the same command again."
                )
            last = self._pass()
            found = found + last
            passes += 1
        return found

    def remarks(self) -> list[str]:
        """Say what will be deleted without this tool."""
        if not self._sendable:
            return []
        remark = (
            f"In the user's chats, {self._sendable:,} files were uploaded in the last day and not "
            "sent, by one user or the other. S3 deletes them within two days, unless they are sent."
        )
        return [remark]

    def _pass(self) -> Counter[str]:
        found = Counter(connections=self._close_connections())
        for page in self._rows.received(self._user_id):
            self._chats.update(row["chatId"]["S"] for row in page.rows)
        chats = sorted(self._chats)
        self._sendable = 0
        for chat_id in self._bar.track(chats, description="chats"):
            found.update(self._erase_in(chat_id))
        found["receipts"] = self._delete_receipts(chats)
        return found

    def _close_connections(self) -> int:
        connections = UserConnections(self._deployment, self._rows, self._user_id)
        if self._acts:
            connections.close()
        return len(connections.ids)

    def _erase_in(self, chat_id: str) -> dict[str, int]:
        """Erase in one chat; return how much there was, by kind."""
        # Before the messages are read: a file in the list that was sent is then in a message.
        listed = ChatFiles.read(self._deployment, chat_id)
        erasure = ChatErasure(self._user_id, self._rows.chat(chat_id), self._files[chat_id])
        self._files[chat_id] = erasure.files
        files = listed.of(erasure.files)
        unsent, sendable = listed.unsent(erasure.files | erasure.others)
        self._sendable += sendable
        if self._acts:
            # Before the messages: without them nothing would say that these files have to go.
            for key in (*files, *unsent):
                self._deployment.s3.delete_object(Bucket=self._names.bucket, Key=key)
            for change in erasure.changes:
                self._make(change)
        from_user = sum(change.is_from_user for change in erasure.changes)
        return {
            "messages": from_user,
            "others": len(erasure.changes) - from_user,
            "files": len(files),
            "unsent": len(unsent),
        }

    def _make(self, change: Change) -> None:
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            answer = self._dynamodb.update_item(**change.update(self._names.messages_table))
            self._rate.spend(capacity_of(answer))

    def _delete_receipts(self, chats: list[str]) -> int:
        receipts = [row for page in self._rows.receipts(self._user_id, chats) for row in page.rows]
        for row in receipts if self._acts else ():
            answer = self._dynamodb.delete_item(
                TableName=self._names.messages_table,
                Key={name: row[name] for name in ("chatId", "timestamp")},
                ReturnConsumedCapacity="TOTAL",
            )
            self._rate.spend(capacity_of(answer))
        return len(receipts)
