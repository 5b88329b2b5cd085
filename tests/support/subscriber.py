"""A topic for notifications of waiting messages, and a queue that subscribes to it."""

import json
import re
from collections.abc import Callable
from typing import Any

from local.template.model import ACCOUNT_ID
from tests.support import document
from tests.support.backend import ROOT

TOPIC = "waiting-messages"
TOPIC_ARN = f"arn:aws:sns:us-east-1:{ACCOUNT_ID}:{TOPIC}"


def documented_policy(queue: str, topic: str) -> dict[str, str]:
    """Return the attributes of a queue that the topic may send to, from `docs/operating.md`."""
    text = (ROOT / "docs" / "operating.md").read_text()
    (shown,) = re.findall(r"^`policy.json` .*?^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    attributes: dict[str, str] = json.loads(
        shown.replace("<queue arn>", queue).replace("<topic arn>", topic)
    )
    return attributes


class Subscriber:
    """A queue that subscribes to the topic: as `docs/operating.md` shows, by boto3.

    Args:
        client_of: Makes the client of a service.
        name: The queue's.
        recipient_id: Whose notifications it wants only; all, if none.
    """

    def __init__(
        self, client_of: Callable[[str], Any], name: str, recipient_id: str | None = None
    ) -> None:
        sns, self._sqs = client_of("sns"), client_of("sqs")
        topic = sns.create_topic(Name=TOPIC)["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        got = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        queue = got["Attributes"]["QueueArn"]
        self._sqs.set_queue_attributes(
            QueueUrl=self._queue, Attributes=documented_policy(queue, topic)
        )
        wanted = {"FilterPolicy": json.dumps({"recipientId": [recipient_id]})}
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=queue,
            Attributes=wanted if recipient_id else {},
        )

    def received(self, *, wait_s: int = 0) -> list[dict[str, Any]]:
        """Take what is in the queue; wait for the first so long."""
        found: list[dict[str, Any]] = []
        while messages := self._receive(0 if found else wait_s):
            for each in messages:
                envelope = json.loads(each["Body"])
                notification = json.loads(envelope["Message"])
                document.named("Notification").validate(notification)
                assert envelope["MessageAttributes"] == {
                    "recipientId": {"Type": "String", "Value": notification["recipientId"]}
                }
                found.append(notification)
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=each["ReceiptHandle"])
        return found

    def _receive(self, wait_s: int) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=wait_s
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages
