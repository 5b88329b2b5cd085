"""Receipts: up to which time a user has received and read a chat. Rows of ``ChatMessages``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, Self

from chat import aws
from chat.chats import Chat, UserId
from chat.server_frames import Times

type Kind = Literal["received", "read"]


class Receipts:
    """The receipts, a row per user and chat.

    Every method raises `Unavailable` where DynamoDB is overloaded or out of reach.
    """

    def __init__(self, dynamodb: aws.DynamoDB, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    @classmethod
    def from_environment(cls) -> Self:
        """Open the deployed table."""
        return cls(aws.dynamodb(), os.environ["MESSAGES_TABLE"])

    @aws.overload_as_unavailable()
    def move(self, chat: Chat, user_id: UserId, kind: Kind, time: int) -> Times | None:
        """Move a user's receipt forward; return it, or none if that changes nothing.

        What was read was received too. A condition keeps a receipt from moving back, whichever of
        two devices is first.
        """
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(chat, user_id),
                UpdateExpression="SET #kind = :time",
                ConditionExpression=(
                    "(attribute_not_exists(#kind) OR #kind < :time)"
                    " AND (attribute_not_exists(#read) OR #read < :time)"
                ),
                # `read` is a reserved word of DynamoDB's.
                ExpressionAttributeNames={"#kind": kind, "#read": "read"},
                ExpressionAttributeValues={":time": {"N": str(time)}},
                ReturnValues="ALL_NEW",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return _times_in(answer["Attributes"])

    @aws.overload_as_unavailable()
    def of(self, chat: Chat, user_id: UserId) -> Times:
        """Read a user's receipt; empty if there is none. The read is strongly consistent."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key=_key(chat, user_id), ConsistentRead=True
        )
        return _times_in(answer.get("Item", {}))


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
