"""The four functions on embedded tables: an event in, a reply out, and what is stored."""

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from aws_lambda_powertools.utilities.typing import LambdaContext

from tests.support import events
from tests.support.management_api import ManagementApi
from tests.support.network import Killed, Network

type Logs = Callable[[], list[dict[str, Any]]]

ROOT = Path(__file__).parents[2]
# The layer, and the modules of on_connect next to its handler.
_OF_A_CONTAINER = {"chat", "tokens", "issuer"}


class Context(LambdaContext):
    """What Lambda tells a function about its invocation."""

    def __init__(self, function_name: str) -> None:
        self._function_name = function_name
        self._aws_request_id = str(uuid4())
        self._memory_limit_in_mb = 512
        self._invoked_function_arn = (
            f"arn:aws:lambda:us-east-1:123456789012:function:{function_name}"
        )


class Container:
    """A cold container of one function: its own modules, the layer's included, and environment.

    Attributes:
        module: The handler's own.
        modules: The modules of the layer, as this container imported them.
    """

    def __init__(self, folder: str, environment: Mapping[str, str]) -> None:
        self._folder = folder
        path = ROOT / folder / "lambda_function.py"
        spec = importlib.util.spec_from_file_location(f"{folder}_{uuid4().hex}", path)
        assert spec is not None
        assert spec.loader is not None
        self.module: Any = importlib.util.module_from_spec(spec)
        with (
            _layer_imported_anew() as self.modules,
            patch.dict(os.environ, environment, clear=True),
        ):
            spec.loader.exec_module(self.module)

    def __call__(self, event: object) -> dict[str, Any]:
        reply: dict[str, Any] = self.module.lambda_handler(event, Context(self._folder))
        return reply


@contextmanager
def _layer_imported_anew() -> Iterator[dict[str, ModuleType]]:
    """Make the first import of each module of the layer in this block execute it anew.

    On Lambda each container is a process, with its own clients, caches, logger and metrics, which
    the layer makes from the environment when it is imported. In one process that takes one copy of
    the layer a container. `sys.modules` decides what an import statement finds, so it has to be
    changed for that; this is the only place in the tests that does.

    Yields:
        The new modules by name, complete when the block ends.
    """
    new: dict[str, ModuleType] = {}
    others = _take_layer()
    try:
        yield new
    finally:
        new |= _take_layer()
        sys.modules.update(others)


def _take_layer() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in _OF_A_CONTAINER]
    return {name: sys.modules.pop(name) for name in names}


@dataclass(frozen=True)
class Backend:
    """Everything that one deployment has."""

    on_connect: Container
    on_disconnect: Container
    send_message: Container
    send_file: Container
    api: ManagementApi
    wire: Network
    dynamodb: Any
    s3: Any
    bucket: str

    def connect(self, user_id: str, *, connected_at: int | None = None, **query: str) -> str:
        """Open a connection, as API Gateway does, and return its id."""
        connection_id = events.new_id()
        event = events.connect(
            connection_id, {"userId": user_id, **query}, connected_at=connected_at
        )
        assert self.on_connect(event) == {"statusCode": 200}
        self.api.open.add(connection_id)
        return connection_id

    def try_to_connect(
        self, user_id: str, *, connected_at: int | None = None, **query: str
    ) -> str | None:
        """Open a connection whatever may go wrong; none if the handshake is refused."""
        connection_id = events.new_id()
        event = events.connect(
            connection_id, {"userId": user_id, **query}, connected_at=connected_at
        )
        try:
            reply = self.on_connect(event)
        except Killed:
            self.wire.is_dead = False
            return None
        if reply["statusCode"] != 200:
            return None
        self.api.open.add(connection_id)
        return connection_id

    def run_queue(self) -> None:
        """Run what was invoked asynchronously, as Lambda does: up to three times."""
        while self.wire.queue:
            event = self.wire.queue.pop(0)
            for attempts_left in (2, 1, 0):
                try:
                    self.send_message(event)
                    break
                except (Exception, Killed):
                    self.wire.is_dead = False
                    if not attempts_left:
                        raise

    def catch_up(self, user_id: str, since: int) -> str:
        """Connect and catch up; return the connection's id."""
        connection_id = self.connect(user_id, since=str(since))
        self.run_queue()
        return connection_id

    def send(self, connection_id: str, frame: object, *, at: int | None = None) -> dict[str, Any]:
        """Send a frame and return the one that came back."""
        return self.frame_of(self.reply_to(connection_id, frame, at=at))

    def say(self, connection_id: str, chat_id: str, text: str, **more: Any) -> dict[str, Any]:
        """Send a text and return the ack."""
        at = more.pop("at", None)
        frame = {"action": "sendmessage", "chatId": chat_id, "text": text, **more}
        ack = self.send(connection_id, frame, at=at)
        assert ack["type"] == "ack", ack
        return ack

    def put(self, upload: Mapping[str, Any], content: bytes = b"a picture", **more: Any) -> None:
        """Do what an ``upload`` frame says, as a client would; `more` headers may go with it."""
        self.s3.put_object(
            Bucket=self.bucket,
            Key=upload["fileKey"],
            Body=content,
            ContentType=upload["headers"]["Content-Type"],
            IfNoneMatch=upload["headers"]["If-None-Match"],
            Tagging=upload["headers"]["x-amz-tagging"],
            **more,
        )

    def upload(self, connection_id: str, frame: object, content: bytes = b"a picture") -> str:
        """Ask for a link, upload to it, and return the file's key."""
        upload = self.send(connection_id, frame)
        assert upload["type"] == "upload", upload
        self.put(upload, content)
        file_key: str = upload["fileKey"]
        return file_key

    def tags_of(self, file_key: str) -> dict[str, str]:
        tags = self.s3.get_object_tagging(Bucket=self.bucket, Key=file_key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    def reply_to(
        self, connection_id: str, frame: object, *, at: int | None = None
    ) -> dict[str, Any]:
        """Send a frame and return the function's result."""
        action = frame.get("action") if isinstance(frame, dict) else "sendmessage"
        function = self.send_file if action == "sendfile" else self.send_message
        return function(events.message(connection_id, frame, at=at))

    @staticmethod
    def frame_of(reply: dict[str, Any]) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(reply["body"])
        return frame

    def containers(self) -> list[Container]:
        return [self.on_connect, self.on_disconnect, self.send_message, self.send_file]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """List a whole table, its attributes as plain values, in no order."""
        return _plain(self.dynamodb.scan(TableName=table, ConsistentRead=True)["Items"])

    def messages(self) -> list[dict[str, Any]]:
        return sorted(self.rows("ChatMessages"), key=lambda row: (row["chatId"], row["timestamp"]))

    def chat(self, chat_id: str) -> list[dict[str, Any]]:
        """List the messages of one chat, in order."""
        answer = self.dynamodb.query(
            TableName="ChatMessages",
            KeyConditionExpression="chatId = :chatId",
            ExpressionAttributeValues={":chatId": {"S": chat_id}},
        )
        return _plain(answer["Items"])

    def knows(self, connection_id: str) -> bool:
        """Say whether there is a row for a connection."""
        key = {"connectionId": {"S": connection_id}}
        return "Item" in self.dynamodb.get_item(TableName="ChatConnections", Key=key)

    def connections(self) -> dict[str, str]:
        """Map the known connections to their users."""
        rows = self.rows("ChatConnections")
        return {row["connectionId"]: row["userId"] for row in rows if "userId" in row}

    def listed(self, user_id: str) -> set[str]:
        """Return the connections that a user's row lists."""
        (row,) = [
            row for row in self.rows("ChatConnections") if row["connectionId"] == f"user#{user_id}"
        ] or [{}]
        return row.keys() - {"connectionId", "ttl"}


def _plain(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: _plain_value(value) for name, value in item.items()} for item in items]


def _plain_value(value: dict[str, Any]) -> Any:
    ((kind, held),) = value.items()
    match kind:
        case "M":
            return {name: _plain_value(each) for name, each in held.items()}
        case "N":
            return int(held)
        case _:
            return held
