"""The four functions in this process, on embedded tables; nothing is printed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from io import TextIOBase
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import boto3
from moto import mock_aws

from benchmarks.wire import Wire
from local.storage.create import create_item
from local.template.model import Stack
from tests.support import events
from tests.support.backend import ROOT, Backend, Container
from tests.support.management_api import ManagementApi
from tests.support.network import between_botocore_and_moto
from tests.support.stack import bucket_of, containers, loaded

LONG_AGO_MS = 60_000
"""For how long connections are open: pushes to younger ones wait for their handshake."""

NOWHERE = "http://127.0.0.1:9/prod"
TEXT = "Shall we meet at seven, at the usual place? I am bringing the others along as well."


class CharacterCount(TextIOBase):
    """Takes log lines, and counts their characters. To write them is part of the work."""

    characters = 0

    def write(self, text: str) -> int:
        """Count."""
        self.characters += len(text)
        return len(text)


class MeasuredBackend:
    """A deployment, and who uses it.

    Attributes:
        notifying: The same deployment, if it had a topic for messages that wait.
        log: What the functions wrote.
    """

    def __init__(
        self,
        stack: Stack,
        backend: Backend,
        notifying: Backend,
        between: Wire,
        log: CharacterCount,
    ) -> None:
        self.stack = stack
        self.backend = backend
        self.notifying = notifying
        self.wire = between
        self.log = log

    def open(self, user_id: str, devices: int = 1) -> list[str]:
        """Connect a user's devices, a while ago."""
        at = events.now() - LONG_AGO_MS
        return [self.backend.connect(user_id, connected_at=at) for _ in range(devices)]

    def store(self, sender: str, recipient: str, count: int) -> str:
        """Store messages of a chat; return the chat's id."""
        with patch.object(Wire, "transmit", _uncounted):
            return store(self.backend.dynamodb, sender, recipient, count)

    def restart(self) -> None:
        """Make all containers cold."""
        made: dict[str, Container] = containers(self.stack, self.backend.api)
        for name, container in made.items():
            # A frozen record for the tests; here its containers come and go.
            object.__setattr__(self.backend, name, container)


def text(chat_id: str, **more: Any) -> dict[str, Any]:
    """Make a frame that says something."""
    return {"action": "sendmessage", "chatId": chat_id, "text": TEXT, **more}


def store(dynamodb: Any, sender: str, recipient: str, count: int) -> str:
    """Store messages of a chat, without the functions; return the chat's id."""
    chat_id = "#".join(sorted((sender, recipient)))
    at = events.now() - LONG_AGO_MS
    rows = [
        {
            "chatId": {"S": chat_id},
            "timestamp": {"N": str(at + number)},
            "messageId": {"S": str(uuid4())},
            "senderId": {"S": sender},
            "recipientId": {"S": recipient},
            "text": {"S": TEXT},
        }
        for number in range(count)
    ]
    for first in range(0, count, 25):
        puts = [{"PutRequest": {"Item": row}} for row in rows[first : first + 25]]
        dynamodb.batch_write_item(RequestItems={"ChatMessages": puts})
    return chat_id


def template(**overrides: str) -> Stack:
    """Load the template."""
    with tempfile.TemporaryDirectory() as scratch:
        return loaded(Path(scratch), **overrides)


def _uncounted(_wire: Wire, _operation: str, _request: object, send: Callable[[], Any]) -> Any:
    return send()


@contextmanager
def measured_backend() -> Iterator[MeasuredBackend]:
    """Deploy, with empty tables."""
    stack = template()
    api = ManagementApi()
    api.url = NOWHERE
    log = CharacterCount()
    environment = {
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": NOWHERE,
    }
    with (
        patch.dict("os.environ", environment),
        # Where Lambda has the layer.
        patch.object(sys, "path", [str(ROOT / "shared"), *sys.path]),
        redirect_stdout(log),
        mock_aws(),
        between_botocore_and_moto(Wire()) as between,
    ):
        # Moto stands in for these two, and is not to be counted.
        with patch.object(Wire, "transmit", _uncounted):
            dynamodb = boto3.client("dynamodb", stack.region)
            s3 = boto3.client("s3", stack.region)
            for item in stack.storage:
                create_item(item, dynamodb, s3)
            topic = boto3.client("sns", stack.region).create_topic(Name="waiting")["TopicArn"]
        backend = Backend(
            **containers(stack, api),
            api=api,
            wire=between,
            dynamodb=dynamodb,
            s3=s3,
            bucket=bucket_of(stack),
        )
        with_topic = containers(template(WaitingTopicArn=topic), api)["send_message"]
        notifying = replace(backend, send_message=with_topic)
        yield MeasuredBackend(stack, backend, notifying, between, log)
