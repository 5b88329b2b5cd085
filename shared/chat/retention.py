"""Retention: for how many days messages, and what belongs to them, are kept."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Final

DAYS: Final = int(os.environ.get("MESSAGE_RETENTION_DAYS", "0"))
"""The deployed parameter, in the functions that store messages and files; 0 is unlimited."""
_DAY_S = 24 * 60 * 60


def ttl_of(timestamp: int) -> dict[str, Any]:
    """Return the attribute `ttl` for a time in milliseconds since 1970; empty if unlimited."""
    return {"ttl": {"N": str(-(-timestamp // 1000) + DAYS * _DAY_S)}} if DAYS else {}


def oldest_kept() -> int:
    """Return the oldest timestamp that has not expired, in milliseconds since 1970."""
    return (int(time.time()) - DAYS * _DAY_S) * 1000 + 1 if DAYS else 0


def has_expired(row: Mapping[str, Any]) -> bool:
    """Return whether a row's `ttl` has passed. DynamoDB deletes it up to days later."""
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ttl-expired-items.html
    return "ttl" in row and int(row["ttl"]["N"]) <= time.time()
