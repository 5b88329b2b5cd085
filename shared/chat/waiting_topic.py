"""Notify a topic of messages that wait: of ids and a time, never of a text, a file or a link."""

from __future__ import annotations

import os
from typing import Self

from chat import aws
from chat.messages import Message
from chat.server_frames import to_json
from chat.telemetry import count, kind_of, logger


class WaitingTopic:
    """Notifies a topic of SNS."""

    def __init__(self, sns: aws.SNS, arn: str) -> None:
        self._sns = sns
        self._arn = arn

    @classmethod
    def from_environment(cls) -> Self | None:
        """Use the deployment's topic, if it has one."""
        arn = os.environ.get("WAITING_TOPIC_ARN")
        return cls(aws.sns(), arn) if arn else None

    def notify(self, message: Message) -> None:
        """Notify of a message that is stored. Never raise: the message waits in any case."""
        notification = {
            "messageId": message.message_id,
            "chatId": message.chat_id,
            "senderId": message.sender_id,
            "recipientId": message.recipient_id,
            "timestamp": message.timestamp,
        }
        attributes = {"recipientId": {"DataType": "String", "StringValue": message.recipient_id}}
        try:
            self._sns.publish(
                TopicArn=self._arn, Message=to_json(notification), MessageAttributes=attributes
            )
        except Exception as error:  # noqa: BLE001 -- no reason is good enough to fail the message
            logger.warning("notification failed", reason=kind_of(error))
            count("NotificationFailures")
