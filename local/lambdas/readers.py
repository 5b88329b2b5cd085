"""Read streams of DynamoDB and queues of SQS, and build the events for functions.

The methods block, and are called in threads.
"""

import base64
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from local.template.model import EventSource

type Record = dict[str, Any]


class StreamReader:
    """Reads the stream of a table, which has one shard here.

    https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
    """

    def __init__(self, source: EventSource, endpoint: str, region: str) -> None:
        self._source = source
        self._region = region
        dynamodb = _client("dynamodb", endpoint, region)
        self._client = _client("dynamodbstreams", endpoint, region)
        arn = dynamodb.describe_table(TableName=source.name)["Table"]["LatestStreamArn"]
        shards = self._client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        self._iterator = self._client.get_shard_iterator(
            StreamArn=arn,
            ShardId=shards[0]["ShardId"],
            ShardIteratorType="TRIM_HORIZON" if source.from_start else "LATEST",
        )["ShardIterator"]

    def read(self, limit: int) -> list[Record]:
        """Return the next records."""
        answer = self._client.get_records(ShardIterator=self._iterator, Limit=limit)
        self._iterator = answer["NextShardIterator"]
        return [
            {
                **_as_json(record),
                "awsRegion": self._region,
                "eventSourceARN": self._source.arn,
            }
            for record in answer["Records"]
        ]

    def finish(self, _records: Sequence[Record]) -> None:
        """Do nothing: the iterator is past the records."""


class QueueReader:
    """Reads a queue.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """

    def __init__(self, source: EventSource, endpoint: str, region: str) -> None:
        self._source = source
        self._region = region
        self._client = _client("sqs", endpoint, region)
        self._url = self._client.get_queue_url(QueueName=source.name)["QueueUrl"]

    def read(self, limit: int) -> list[Record]:
        """Return the next messages."""
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=min(10, limit),
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {
                    name: {_lower_first(key): value for key, value in attribute.items()}
                    for name, attribute in message.get("MessageAttributes", {}).items()
                },
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": self._source.arn,
                "awsRegion": self._region,
            }
            for message in answer.get("Messages", [])
        ]

    def finish(self, records: Sequence[Record]) -> None:
        """Delete messages."""
        for record in records:
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=record["receiptHandle"])


def sns_event(record: Record, source: EventSource) -> dict[str, Any]:
    """Return the event of a topic for a message of the queue that subscribes to it.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
    """
    envelope = json.loads(record["body"])
    for ours, theirs in (
        ("SigningCertUrl", "SigningCertURL"),
        ("UnsubscribeUrl", "UnsubscribeURL"),
    ):
        envelope[ours] = envelope.pop(theirs, "")
    message = {"Subject": None, "MessageAttributes": {}, **envelope}
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": f"{source.arn}:local",
                "Sns": message,
            }
        ]
    }


def _client(service: str, endpoint: str, region: str) -> Any:
    import boto3  # noqa: PLC0415 -- only templates with event sources need it here

    session = boto3.Session("local", "local", region_name=region)
    return session.client(service, endpoint_url=endpoint)  # type: ignore[call-overload]  # any service


def _as_json(value: Any) -> Any:
    """Return what botocore parsed as it was in JSON."""
    if isinstance(value, Mapping):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, list | set):
        return [_as_json(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime):
        return int(value.timestamp())
    return value


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
