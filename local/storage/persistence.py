"""Keep what moto has in a folder: copy each write, and bring all back when a table is created.

Moto has no way to save its state. So after each successful write the items and files that it names
are read, by moto's own API, and stored. Queues, topics and the records of streams are not kept.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

from local.patches.moto_patches import forget_stream_records
from local.storage.data_folder import DataFolder, StoredFile
from local.storage.s3_request import S3Request
from local.storage.unknown_services import Answer

type Call = Callable[[S3Request, bytes], Answer]

_TARGET = "DynamoDB_20120810."
_MAX_BATCH = 25
_TAG = re.compile(r"<Tag>\s*<Key>(.*?)</Key>\s*<Value>(.*?)</Value>\s*</Tag>", re.DOTALL)
_KEPT_HEADERS = {
    "cache-control", "content-disposition", "content-encoding", "content-language", "content-type",
    "expires",
}  # fmt: skip


class Persistence:
    """Copies writes to a folder, and restores them.

    Args:
        folder: Where the copies are.
        call: Sends a request to moto.

    """

    def __init__(self, folder: DataFolder, call: Call) -> None:
        self._folder = folder
        self._call = call
        self._keys: dict[str, list[str]] = {}

    def after(self, request: S3Request, path: str, body: bytes) -> None:
        """Copy what a request has written, or restore what it has created.

        Args:
            request: One that moto has answered without an error.
            path: Its path, with the bucket.
            body: Its body.

        """
        target = request.header("x-amz-target") or ""
        if request.service == "s3" and request.method in {"PUT", "POST", "DELETE"}:
            self._after_s3(request, path)
        elif target.startswith(_TARGET):
            self._after_dynamodb(request, target.removeprefix(_TARGET), body)

    # --- DynamoDB ---------------------------------------------------------------------------------

    def _after_dynamodb(self, request: S3Request, operation: str, body: bytes) -> None:
        if operation == "CreateTable":
            self._restore_table(request, json.loads(body))
        elif operation == "DeleteTable":
            self._folder.delete_table(_source(request, json.loads(body)["TableName"]))
        elif operation in _WRITTEN:
            written = list(_WRITTEN[operation](json.loads(body)))
            self._folder.put_items(
                [self._copy_of(request, table, values) for table, values in written]
            )

    def _restore_table(self, request: S3Request, definition: dict[str, Any]) -> None:
        table = definition["TableName"]
        puts = [
            {"PutRequest": {"Item": json.loads(item)}}
            for item in self._folder.items(_source(request, table))
        ]
        try:
            for start in range(0, len(puts), _MAX_BATCH):
                batch = {"RequestItems": {table: puts[start : start + _MAX_BATCH]}}
                self._dynamodb(request, "BatchWriteItem", batch)
        except OSError as error:  # the template has another key for this table now
            print(f"Warning: not all items of {table} fit it any more: {error}", file=sys.stderr)
        forget_stream_records(request.region, table)

    def _copy_of(
        self, request: S3Request, table: str, values: dict[str, Any]
    ) -> tuple[str, str, str | None]:
        source = _source(request, table)
        if source not in self._keys:
            described = self._dynamodb(request, "DescribeTable", {"TableName": table})["Table"]
            self._keys[source] = sorted(each["AttributeName"] for each in described["KeySchema"])
        key = {name: values[name] for name in self._keys[source]}
        found = self._dynamodb(
            request, "GetItem", {"TableName": table, "Key": key, "ConsistentRead": True}
        )
        item = json.dumps(found["Item"]) if "Item" in found else None
        return source, json.dumps(key), item

    def _dynamodb(self, request: S3Request, operation: str, body: dict[str, Any]) -> Any:
        headers = (
            ("authorization", request.header("authorization") or ""),
            ("content-type", "application/x-amz-json-1.0"),
            ("host", request.header("host") or ""),
            ("x-amz-target", _TARGET + operation),
        )
        asked = S3Request("POST", "/", "", headers)
        status, _, content = self._call(asked, json.dumps(body).encode())
        if not status.startswith("200"):
            raise OSError(f"{operation} of kept data: {content.decode(errors='replace')}")
        return json.loads(content)

    # --- S3 ---------------------------------------------------------------------------------------

    def _after_s3(self, request: S3Request, path: str) -> None:
        path = quote(unquote_to_bytes(path), safe="/~")
        bucket, _, key = path.removeprefix("/").partition("/")
        if not key:
            if request.method == "PUT" and not request.query:
                self._restore_bucket(request, bucket)
            elif request.method == "POST":  # DeleteObjects, or a form
                for each in self._folder.paths(bucket):
                    self._copy_file(request, bucket, each)
        elif "tagging" in request.parameters:
            self._folder.put_tags(path, self._tags(request, path))
        elif "uploadId" not in request.parameters or request.method == "POST":
            self._copy_file(request, bucket, path)

    def _copy_file(self, request: S3Request, bucket: str, path: str) -> None:
        status, headers, content = self._s3(request, "GET", path)
        if not status.startswith("200"):
            self._folder.delete_file(path)
            return
        kept = [
            (name.lower(), value)
            for name, value in headers
            if name.lower() in _KEPT_HEADERS or name.lower().startswith("x-amz-meta-")
        ]
        tags = self._tags(request, path)
        self._folder.put_file(bucket, StoredFile(path, json.dumps(kept), tags, content))

    def _tags(self, request: S3Request, path: str) -> str:
        _, _, content = self._s3(request, "GET", path, "tagging")
        text = content.decode()
        pairs = re.findall(
            r"<Tag>\s*<Key>(.*?)</Key>\s*<Value>(.*?)</Value>\s*</Tag>", text, re.DOTALL
        )
        return urlencode([(unescape(key), unescape(value)) for key, value in pairs])

    def _restore_bucket(self, request: S3Request, bucket: str) -> None:
        for file in self._folder.files(bucket):
            headers = [tuple(each) for each in json.loads(file.headers)]
            if file.tags:
                headers.append(("x-amz-tagging", file.tags))
            self._s3(request, "PUT", file.path, headers=headers, body=file.content)

    def _s3(
        self,
        request: S3Request,
        method: str,
        path: str,
        query: str = "",
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Answer:
        scope = f"Credential=local/20260101/{request.region}/s3/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=none"
        own = (("authorization", authorization), ("host", "127.0.0.1"), *headers)
        return self._call(S3Request(method, path, query, own), body)


def _source(request: S3Request, table: str) -> str:
    return json.dumps([request.region, table.rpartition("/")[2]])


def _of_one(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield body["TableName"], body.get("Item") or body["Key"]


def _of_batch(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for table, writes in body["RequestItems"].items():
        for write in writes:
            ((_, details),) = write.items()
            yield table, details.get("Item") or details["Key"]


def _of_transaction(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for operation in body["TransactItems"]:
        ((_, details),) = operation.items()
        yield from _of_one(details)


_WRITTEN: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, dict[str, Any]]]]] = {
    "PutItem": _of_one,
    "UpdateItem": _of_one,
    "DeleteItem": _of_one,
    "BatchWriteItem": _of_batch,
    "TransactWriteItems": _of_transaction,
}
