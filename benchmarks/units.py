"""DynamoDB's capacity units, by its published rules.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
and, for how large an item is,
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# A row of ChatConnections is below 1 KB: of one connection, far below; of one user, with 20
# connections of 24 bytes each. So deleting or changing it costs a unit. It is in no index.
_SMALL_ROW = 1


def used(
    operation: str, asked: Mapping[str, Any], answered: Mapping[str, Any], *, done: bool
) -> tuple[float, int]:
    """Return the read and the write units of one call.

    Args:
        operation: Its name, without the service's.
        asked: The request, as JSON.
        answered: The response, as JSON.
        done: Whether it was done, and not refused by a condition.
    """
    match operation:
        case "GetItem":
            size = _size(answered.get("Item", {}))
            return _reads(size) * (1 if asked.get("ConsistentRead") else 0.5), 0
        case "Query":
            size = sum(map(_size, answered.get("Items", [])))
            return _reads(size) * (1 if asked.get("ConsistentRead") else 0.5), 0
        case "PutItem":
            return 0, _put(asked["Item"], factor=1, indexed=done)
        case "BatchGetItem":
            # Each row is rounded up alone, and one that is not there costs as much as a small one.
            (wanted,) = asked["RequestItems"].values()
            (rows,) = answered["Responses"].values()
            missing = len(wanted["Keys"]) - len(rows)
            factor = 1 if wanted.get("ConsistentRead") else 0.5
            return (sum(_reads(_size(row)) for row in rows) + missing) * factor, 0
        case "DeleteItem" | "UpdateItem":
            return 0, _SMALL_ROW
        case "TransactWriteItems":
            # Twice for the table; what follows in the index is no part of the transaction.
            return 0, sum(
                _put(each["Put"]["Item"], factor=2, indexed=done) for each in asked["TransactItems"]
            )
    raise ValueError(f"{operation}: its units are not known")


def _put(item: Mapping[str, Any], *, factor: int, indexed: bool) -> int:
    units = math.ceil(_size(item) / 1024)
    # The index holds whole items, of those that have its key.
    in_index = indexed and "recipientId" in item
    return units * factor + units * in_index


def _reads(size: int) -> int:
    return max(1, math.ceil(size / 4096))


def _size(item: Mapping[str, Any]) -> int:
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    if "N" in value:
        return math.ceil(len(value["N"]) / 2) + 1
    if "M" in value:
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
        return 3 + len(value["M"]) + _size(value["M"])
    return len(value["S"].encode())
