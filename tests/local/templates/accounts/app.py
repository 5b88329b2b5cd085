"""Call what a client asks for, and return the answer, or AWS's error."""

import json
import os
import urllib.request
from typing import Any

import boto3
import httpx
import requests
import urllib3
from botocore.exceptions import ClientError

STARTED_WITH = boto3.client("ssm").get_parameter(Name=os.environ["GREETING"])["Parameter"]["Value"]


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    body = json.loads(event["body"])
    if body["action"] == "variables":
        names = ("POOL", "POOL_ARN", "ISSUER", "CLIENT", "SECRET", "GREETING", "VALUE")
        answer = {name: os.environ[name] for name in names} | {"STARTED_WITH": STARTED_WITH}
        return {"statusCode": 200, "body": json.dumps(answer)}
    if body["action"] == "keys":
        url = f"{os.environ['ISSUER']}/.well-known/jwks.json"
        with urllib.request.urlopen(url) as response:  # noqa: S310 -- https
            documents = [json.load(response)]
        documents += [urllib3.request("GET", url).json(), httpx.get(url).json()]
        documents += [requests.get(url, timeout=5).json()]
        kids = [[key["kid"] for key in document["keys"]] for document in documents]
        return {"statusCode": 200, "body": json.dumps(kids)}
    try:
        answer = getattr(boto3.client(body["service"]), body["call"])(**body["arguments"])
    except ClientError as error:
        answer = {**error.response["Error"], "Status": error.response["ResponseMetadata"]}
        answer["Status"] = answer["Status"]["HTTPStatusCode"]
    answer.pop("ResponseMetadata", None)
    return {"statusCode": 200, "body": json.dumps(answer, default=str)}
