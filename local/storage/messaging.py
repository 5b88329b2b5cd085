"""Create a stack's queues, topics and subscriptions."""

import json
from collections.abc import Callable
from typing import Any

from local.template.model import Storage

_QUEUE_ATTRIBUTES = (
    "ContentBasedDeduplication", "DelaySeconds", "FifoQueue", "MessageRetentionPeriod",
    "RedrivePolicy", "VisibilityTimeout",
)  # fmt: skip


def refers(item: Storage) -> int:
    """Return a number that is higher for what refers to other resources."""
    if item.kind in {
        "AWS::Cognito::UserPoolUserToGroupAttachment", "AWS::SNS::Subscription",
    }:  # fmt: skip
        return 2
    return 1 if {"RedrivePolicy", "UserPoolId"} & item.properties.keys() else 0


def create_messaging(item: Storage, client_of: Callable[[str], Any]) -> None:
    """Create a queue, a topic or a subscription.

    Args:
        item: The queue, topic or subscription.
        client_of: Returns the client of a service.

    """
    properties = item.properties
    if item.kind == "AWS::SQS::Queue":
        attributes = {
            name: _text(properties[name]) for name in _QUEUE_ATTRIBUTES if name in properties
        }
        client_of("sqs").create_queue(QueueName=item.name, Attributes=attributes)
    elif item.kind == "AWS::SNS::Topic":
        is_fifo = _text(properties.get("FifoTopic", False)) == "true"
        attributes = {"FifoTopic": "true"} if is_fifo else {}
        client_of("sns").create_topic(Name=item.name, Attributes=attributes)
    else:
        client_of("sns").subscribe(
            TopicArn=properties["TopicArn"],
            Protocol="sqs",
            Endpoint=properties["Endpoint"],
            Attributes={name: _text(value) for name, value in properties["Attributes"].items()},
        )


def _text(value: Any) -> str:
    """Return an attribute as SQS and SNS take it."""
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
