"""Receipts: up to which time a user has received and read a chat. Rows of ``ChatMessages``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from chat import aws
from chat.chats import Chat, UserId
from chat.messages import MessagesTable
from chat.retention import has_expired, oldest_kept, ttl_of
from chat.server_frames import Times

type Kind = Literal["received", "read"]


class Receipts(MessagesTable):
    """The receipts, a row per user and chat."""

    @aws.overload_as_unavailable()
    def move(self, chat: Chat, user_id: UserId, kind: Kind, time: int, newest: int) -> Times | None:
        """Move a user's receipt forward; return it, or none if that changes nothing.

        What was read was received too. A condition keeps a receipt from moving back, whichever of
        two devices is first. It expires with the chat's newest message, sent at `newest`.
        """
        ttl = {f":{name}": value for name, value in ttl_of(newest).items()}
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(chat, user_id),
                UpdateExpression=f"SET #kind = :time{', #ttl = :ttl' if ttl else ' REMOVE #ttl'}",
                ConditionExpression=(
                    "(attribute_not_exists(#kind) OR #kind < :time)"
                    " AND (attribute_not_exists(#read) OR #read < :time)"
                ),
                # `read` and `ttl` are reserved words of DynamoDB's.
                ExpressionAttributeNames={"#kind": kind, "#read": "read", "#ttl": "ttl"},
                ExpressionAttributeValues={":time": {"N": str(time)}, **ttl},
                ReturnValues="ALL_NEW",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return _times_in(answer["Attributes"])

    @aws.overload_as_unavailable()
    def of(self, chat: Chat, user_id: UserId) -> Times:
        """Read a user's receipt; empty if none is kept. The read is strongly consistent."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key=_key(chat, user_id), ConsistentRead=True
        )
        row = answer.get("Item", {})
        times = {} if has_expired(row) else _times_in(row)
        return times if times.get("received", 0) >= oldest_kept() else {}


def _key(chat: Chat, user_id: UserId) -> aws.Row:
    # A chat's id holds one `#`, this one two, and that of an idempotency record three or more.
    return {"chatId": {"S": f"{chat.id}#{user_id}"}, "timestamp": {"N": "0"}}


def _times_in(row: Mapping[str, Any]) -> Times:
    times: Times = {}
    for kind in ("received", "read"):  # what was read was received too
        if kind in row:
            times["received"] = max(times.get("received", 0), int(row[kind]["N"]))
    if "read" in row:
        times["read"] = int(row["read"]["N"])
    return times
