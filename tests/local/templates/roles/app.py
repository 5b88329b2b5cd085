"""Call what a client asks for, and return the error that AWS answers with."""

import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

type Event = dict[str, Any]


def handler(event: Event, _context: object) -> Event:
    if "requestContext" not in event:
        return {}
    body, context = json.loads(event["body"]), event["requestContext"]
    endpoint = None
    if body["service"] == "apigatewaymanagementapi":
        endpoint = f"https://{context['domainName']}/{context['stage']}"
        body["arguments"]["ConnectionId"] = context["connectionId"]
    # Without it boto3 signs links with Signature Version 2, which S3 refuses.
    signature = Config(signature_version="s3v4") if "sign" in body else None
    client = boto3.client(body["service"], endpoint_url=endpoint, config=signature)
    if "sign" in body:
        url = client.generate_presigned_url(body["sign"], Params=body["arguments"])
        return {"statusCode": 200, "body": url}
    try:
        getattr(client, body["call"])(**body["arguments"])
    except ClientError as error:
        if body.get("raise"):
            raise
        found = {**error.response["Error"], "Status": _status(error)}
        return {"statusCode": 200, "body": json.dumps(found)}
    return {"statusCode": 200, "body": "{}"}


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]
