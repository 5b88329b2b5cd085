"""Tables and a bucket in this process, by moto: emptied for each test instead of created anew.

To create them takes three times as long as most tests. Everything in the tests that depends on
moto's internals is in this module, `network` and `flows`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

from local.storage.create import create_item
from local.template.model import Stack


@contextmanager
def empty_storage(stack: Stack, dynamodb: Any, s3: Any) -> Iterator[None]:
    """Let moto stand in for AWS, with the stack's tables and bucket, all of them empty."""
    # For each start moto patches the library requests, for a thousand URLs. botocore does without.
    with patch("moto.core.models.RESPONSES_METHODS", []):
        mock = mock_aws()
        mock.start(reset=False)
    try:
        tables = dynamodb_backends[DEFAULT_ACCOUNT_ID][stack.region].tables
        buckets = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets
        for item in stack.storage:
            # Another test's mock_aws may have removed them.
            if item.name in tables:
                tables[item.name].items.clear()
            elif item.name in buckets:
                buckets[item.name].keys.clear()
            else:
                create_item(item, dynamodb, s3)
        yield
    finally:
        mock.stop(remove_data=False)


def grow_old(bucket: str, key: str, age: timedelta) -> None:
    """Let a file have been uploaded some time ago."""
    files = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys
    files[key].last_modified = (datetime.now(UTC) - age).replace(tzinfo=None)


@contextmanager
def pages_of(size: int) -> Iterator[None]:
    """Let a page of a query or a scan have so many bytes, in place of 1 MB."""
    with patch("moto.dynamodb.models.table.RESULT_SIZE_LIMIT", size):
        yield
