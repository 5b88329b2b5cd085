"""Handlers that do what a test asks for, so that it can see how API Gateway reacts."""

import json
import os
import time
from typing import Any

import boto3
from botocore.exceptions import ClientError

type Event = dict[str, Any]

dynamodb = boto3.client("dynamodb")
TABLE = os.environ["OBSERVATIONS_TABLE"]


def connect(event: Event, _context: object) -> Any:
    query = event.get("queryStringParameters") or {}
    misbehave(query)
    dynamodb.put_item(
        TableName=TABLE,
        Item={
            "connectionId": {"S": event["requestContext"]["connectionId"]},
            "event": {"S": json.dumps(event)},
            "watcher": {"S": query.get("watcher", "")},
        },
    )
    if "result" in query:
        return json.loads(query["result"])
    if "post" in query:
        called = call(event, {"call": "post", "id": event["requestContext"]["connectionId"]})
        return {"statusCode": 200 if called.get("error") == "GoneException" else 409}
    if "subprotocol" in query:
        return {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": query["subprotocol"]}}
    return {"statusCode": int(query.get("status", "200")), "body": "ignored"}


def disconnect(event: Event, _context: object) -> Event:
    key = {"connectionId": {"S": event["requestContext"]["connectionId"]}}
    item = dynamodb.delete_item(TableName=TABLE, Key=key, ReturnValues="ALL_OLD")["Attributes"]
    if item["watcher"]["S"]:
        call(event, {"call": "post", "id": item["watcher"]["S"], "data": json.dumps(event)})
    return {"statusCode": 200}


def answer(event: Event, _context: object) -> Any:
    try:
        asked = json.loads(event["body"])
    except ValueError:
        asked = {}
    misbehave(asked)
    if "result" in asked:
        return asked["result"]
    if "call" in asked:
        return {"statusCode": 200, "body": json.dumps(call(event, asked))}
    if "recall" in asked:
        key = {"connectionId": {"S": event["requestContext"]["connectionId"]}}
        item = dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True)["Item"]
        return {"statusCode": 200, "body": item["event"]["S"]}
    if "padding" in asked:
        return {"statusCode": 200, "body": str(len(event["body"]))}
    return {"statusCode": 200, "body": json.dumps(event)}


def authorize(event: Event, _context: object) -> Any:
    token = event["queryStringParameters"]["token"]
    if token == "unauthorized":
        raise Exception("Unauthorized")  # noqa: TRY002 -- the message is all that counts
    if token == "broken":
        return {"principalId": "nobody"}
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if token == "allow" else "Deny",
        "Resource": event["methodArn"],
    }
    return {
        "principalId": "somebody",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"event": json.dumps(event), "number": 1, "flag": True},
    }


def misbehave(asked: Event) -> None:
    if "sleep" in asked:
        time.sleep(float(asked["sleep"]))
    if "raise" in asked:
        raise RuntimeError(asked["raise"])
    if "exit" in asked:
        os._exit(1)


def call(event: Event, asked: Event) -> Event:
    """Call @connections, and return what botocore makes of the answer."""
    context = event["requestContext"]
    client = boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=f"https://{context['domainName']}/{context['stage']}",
    )
    connection_id = asked["id"]
    try:
        if asked["call"] == "post":
            data = asked.get("data") or "x" * asked.get("bytes", 1)
            response: Any = client.post_to_connection(ConnectionId=connection_id, Data=data)
        elif asked["call"] == "get":
            response = client.get_connection(ConnectionId=connection_id)
        else:
            response = client.delete_connection(ConnectionId=connection_id)
    except ClientError as error:
        return {
            "error": error.response["Error"]["Code"],
            "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
            "exception": type(error).__name__,
        }
    metadata = response.pop("ResponseMetadata")
    return {
        "status": metadata["HTTPStatusCode"],
        "result": json.loads(json.dumps(response, default=lambda moment: moment.isoformat())),
    }
