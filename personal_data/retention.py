"""Apply ``MessageRetentionDays`` to rows that are stored already: set their `ttl`, or remove it.

The layer sets `ttl` of what it stores, by the parameter as it is then. This does the same for
messages, idempotency records and receipts from before. What has expired stays expired. A file that
was sent again over a day after its upload would be deleted before its last message: S3 is made to
count its age anew.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from personal_data import terminal
from personal_data.deployment import Deployment
from personal_data.rate import Rate
from personal_data.rows import Row, Rows, capacity_of, message_key, record_key
from personal_data.scan import ScanCost

_DAY_S = 24 * 60 * 60
# DynamoDB does not delete rows whose time is further in the past. A day less than five years:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-before-you-start.html
_MAX_PAST_S = 5 * 365 * _DAY_S
_MAX_CONFLICTS = 5
_REFUSED = "ConditionalCheckFailed"
_NO_SUCH_FILE = "404"


def run(deployment: Deployment, rate: Rate, days: int, *, acts: bool) -> int:
    """Set the `ttl` of all rows; return the exit status.

    Args:
        deployment: Where the rows are.
        rate: The limit on capacity.
        days: The parameter as it is deployed; 0 removes `ttl`.
        acts: Whether to change anything, rather than only count what would change.
    """
    cost = ScanCost.of(deployment, rate)
    terminal.say(f"{cost} Each change takes 2 to 5 write units more.")
    retention = _Retention(deployment, rate, days, acts=acts)
    with terminal.progress_bar() as bar:
        task = bar.add_task("rows", total=cost.items)
        for page in Rows(deployment, rate).scan_all():
            retention.apply(page.rows)
            bar.advance(task, page.count)
    found = retention.counts
    terminal.say(
        f"{'Changed' if acts else 'Would change'}: {found['messages']:,} messages, "
        f"{found['receipts']:,} receipts, {found['files']:,} files. "
        f"{found['ending']:,} of these messages {'have' if acts else 'would have'} expired by "
        f"that. {found['expired']:,} rows had expired before."
    )
    if not acts:
        terminal.say("Nothing was changed. Give --yes to do it.")
    return 0


class _Retention:
    """One run.

    Attributes:
        counts: What was changed, or would be: `messages` (with their idempotency records),
            `receipts`, `files`; how many of the messages expire by that (`ending`); rows that had
            expired before (`expired`).
    """

    def __init__(self, deployment: Deployment, rate: Rate, days: int, *, acts: bool) -> None:
        self._dynamodb = deployment.dynamodb
        self._s3 = deployment.s3
        self._names = deployment.names
        self._rate = rate
        self._days = days
        self._acts = acts
        self._now = int(time.time())
        self.counts: Counter[str] = Counter()

    def apply(self, rows: list[Row]) -> None:
        """Change the rows of one page."""
        for row in map(dict[str, Any], rows):
            if self._has_expired(row):
                self.counts["expired"] += 1
            elif "senderId" in row:
                self._apply_to_message(row)
            elif "messageTimestamp" in row:
                self._apply_to_record(row)
            else:
                self._apply_to_receipt(row)

    def _apply_to_message(self, row: Mapping[str, Any]) -> None:
        timestamp = int(row["timestamp"]["N"])
        if self._differs(row, timestamp):
            record = None
            if "clientMessageId" in row:
                parts = (row[name]["S"] for name in ("chatId", "senderId", "clientMessageId"))
                record = record_key(*parts)
            if self._change(_key_of(row), timestamp, record):
                self.counts["messages"] += 1
                self.counts["ending"] += self._is_over(timestamp)
        if self._days and "fileKey" in row and not self._is_over(timestamp):
            self._keep_file(row["fileKey"]["S"], row["contentType"]["S"], timestamp)

    def _apply_to_record(self, row: Mapping[str, Any]) -> None:
        """Change a record whose message does not name it, or comes later in the scan."""
        timestamp = int(row["messageTimestamp"]["N"])
        if self._differs(row, timestamp):
            first, second, _ = row["chatId"]["S"].split("#", 2)
            self._change(message_key(f"{first}#{second}", timestamp), timestamp, _key_of(row))

    def _apply_to_receipt(self, row: Mapping[str, Any]) -> None:
        times = {kind: row[kind] for kind in ("received", "read") if kind in row}
        timestamp = max(int(each["N"]) for each in times.values())
        if not self._differs(row, timestamp):
            return
        # A receipt that has moved meanwhile has its `ttl` from the layer.
        unchanged = "".join(f" AND #{kind} = :{kind}" for kind in times)
        update = self._update(_key_of(row), timestamp, unchanged)
        update["ExpressionAttributeNames"] |= {f"#{kind}": kind for kind in times}
        update["ExpressionAttributeValues"] |= {f":{kind}": each for kind, each in times.items()}
        self.counts["receipts"] += self._write(update)

    def _change(self, message: Row, timestamp: int, record: Row | None) -> bool:
        """Change a message and its record, both or neither, so that they expire together.

        Return whether the message was changed: it may have been deleted meanwhile.
        """
        update = self._update(message, timestamp)
        both = record is not None and self._write_both(update, self._update(record, timestamp))
        return both or self._write(update)

    def _write(self, update: dict[str, Any]) -> bool:
        """Change a row; return whether it is there."""
        if not self._acts:
            return True
        try:
            answer = self._dynamodb.update_item(**update, ReturnConsumedCapacity="TOTAL")
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        self._rate.spend(capacity_of(answer))
        return True

    def _write_both(self, message: dict[str, Any], record: dict[str, Any]) -> bool:
        """Change a message and its record; return whether both are there.

        Raises:
            ClientError: They could not be changed.
        """
        if not self._acts:
            return True
        writes: Any = [{"Update": message}, {"Update": record}]
        conflicts = 0
        while True:
            try:
                answer = self._dynamodb.transact_write_items(
                    TransactItems=writes, ReturnConsumedCapacity="TOTAL"
                )
            except self._dynamodb.exceptions.TransactionCanceledException as cancelled:
                codes = {each["Code"] for each in cancelled.response["CancellationReasons"]}
                if _REFUSED in codes:
                    return False
                if conflicts == _MAX_CONFLICTS:
                    raise
                # A resend of the message, or DynamoDB is busy: a moment later it succeeds.
                time.sleep(0.1 * 2**conflicts)
                conflicts += 1
            else:
                self._rate.spend(capacity_of(answer))
                return True

    def _keep_file(self, key: str, content_type: str, timestamp: int) -> None:
        """Copy a file onto itself, so that S3 counts its age anew, if its message came late."""
        where: Any = {"Bucket": self._names.bucket, "Key": key}
        try:
            uploaded = self._s3.head_object(**where)["LastModified"].timestamp()
        except ClientError as error:
            if error.response["Error"]["Code"] != _NO_SUCH_FILE:
                raise
            return
        if timestamp / 1000 - uploaded <= _DAY_S:
            return
        self.counts["files"] += 1
        if self._acts:
            self._s3.copy_object(
                **where, CopySource=where, MetadataDirective="REPLACE", ContentType=content_type
            )

    def _update(self, key: Row, timestamp: int, condition: str = "") -> dict[str, Any]:
        """Return how to give a row the `ttl` of a time, if it is there and has not expired."""
        ttl = self._ttl_of(timestamp)
        values = {":now": {"N": str(self._now)}}
        if ttl is not None:
            values[":ttl"] = {"N": str(ttl)}
        return {
            "TableName": self._names.messages_table,
            "Key": key,
            "UpdateExpression": "REMOVE #ttl" if ttl is None else "SET #ttl = :ttl",
            "ConditionExpression": "attribute_exists(chatId)"
            f" AND (attribute_not_exists(#ttl) OR #ttl > :now){condition}",
            "ExpressionAttributeNames": {"#ttl": "ttl"},
            "ExpressionAttributeValues": values,
        }

    def _ttl_of(self, timestamp: int) -> int | None:
        """Return the `ttl` for a time in milliseconds since 1970, as shared/chat/retention.py."""
        if not self._days:
            return None
        ttl = -(-timestamp // 1000) + self._days * _DAY_S
        return ttl if ttl > self._now - _MAX_PAST_S else self._now

    def _is_over(self, timestamp: int) -> bool:
        ttl = self._ttl_of(timestamp)
        return ttl is not None and ttl <= self._now

    def _differs(self, row: Mapping[str, Any], timestamp: int) -> bool:
        ttl = self._ttl_of(timestamp)
        return row.get("ttl") != (None if ttl is None else {"N": str(ttl)})

    def _has_expired(self, row: Mapping[str, Any]) -> bool:
        return "ttl" in row and int(row["ttl"]["N"]) <= self._now


def _key_of(row: Mapping[str, Any]) -> Row:
    return {name: row[name] for name in ("chatId", "timestamp")}
