"""Write what clients send to a table, a queue or a topic; push what comes back to the client."""

import json
import os
from typing import Any

import boto3
from botocore.exceptions import ClientError

type Event = dict[str, Any]

failures = 0


def receive(event: Event, _context: object) -> Event:
    context, body = event["requestContext"], json.loads(event["body"])
    where = {"domain": context["domainName"], "stage": context["stage"]}
    message = {"to": context["connectionId"], **where, **body}
    if body["action"] == "write":
        table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
        with table.batch_writer() as batch:
            for key in body["ids"]:
                batch.put_item(Item={"id": key, "message": json.dumps(message)})
    elif body["action"] == "queue":
        boto3.client("sqs").send_message(
            QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(message)
        )
    elif body["action"] == "translate":
        try:
            boto3.client("translate").translate_text(
                Text="a", SourceLanguageCode="en", TargetLanguageCode="de"
            )
        except ClientError as error:
            push(message, error.response["Error"])
    elif body["action"] == "recommend":
        try:
            boto3.client("personalize-runtime").get_recommendations(campaignArn="a", userId="u")
        except ClientError as error:
            push(message, error.response["Error"])
    elif body["action"] == "emit":
        entry = {"Source": "chat", "DetailType": "said", "Detail": json.dumps(body)}
        answer = boto3.client("events").put_events(Entries=[entry])
        push(message, {"FailedEntryCount": answer["FailedEntryCount"]})
    else:
        boto3.client("sns").publish(TopicArn=os.environ["TOPIC"], Message=json.dumps(message))
    return {"statusCode": 200}


def push(message: Event, what: Any) -> None:
    url = f"https://{message['domain']}/{message['stage']}"
    client = boto3.client("apigatewaymanagementapi", endpoint_url=url)
    client.post_to_connection(ConnectionId=message["to"], Data=json.dumps(what))


def on_write(event: Event, _context: object) -> None:
    global failures  # noqa: PLW0603 -- the container remembers
    images = [record["dynamodb"]["NewImage"] for record in event["Records"]]
    ids = [image["id"]["S"] for image in images]
    message = json.loads(images[0]["message"]["S"])
    if "fail" in ids:
        failures += 1
        push(message, {"failed": failures})
        raise RuntimeError("on purpose")
    push(message, {"written": ids, "source": event["Records"][0]["eventSourceARN"].split("/")[1]})


def on_queue(event: Event, _context: object) -> Event:
    (record,) = event["Records"]
    received = int(record["attributes"]["ApproximateReceiveCount"])
    push(json.loads(record["body"]), {"queued": received, "source": record["eventSource"]})
    if received == 1:
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    return {"batchItemFailures": []}


def on_topic(event: Event, _context: object) -> None:
    (record,) = event["Records"]
    push(json.loads(record["Sns"]["Message"]), {"source": record["EventSource"]})
