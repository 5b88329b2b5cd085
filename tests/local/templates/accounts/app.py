"""Call what a client asks for, and return the answer, or AWS's error."""

import asyncio
import json
import os
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import requests
import urllib3
from botocore.exceptions import ClientError

STARTED_WITH = boto3.client("ssm").get_parameter(Name=os.environ["GREETING"])["Parameter"]["Value"]


async def fetch_by_asyncio(url: str) -> Any:
    """Fetch a document by the connections of asyncio, as aiohttp does."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, 443, ssl=True)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    body = json.loads(event["body"])
    if body["action"] == "variables":
        names = {*os.environ} - {"AWS_LAMBDA_LOG_STREAM_NAME"}  # another one in each process
        answer = {name: os.environ[name] for name in names} | {"STARTED_WITH": STARTED_WITH}
        return {"statusCode": 200, "body": json.dumps(answer)}
    if body["action"] == "keys":
        url = f"{os.environ['ISSUER']}/.well-known/jwks.json"
        with urllib.request.urlopen(url) as response:  # noqa: S310 -- https
            documents = [json.load(response)]
        documents += [urllib3.request("GET", url).json(), httpx.get(url).json()]
        documents += [requests.get(url, timeout=5).json()]
        documents += [asyncio.run(fetch_by_asyncio(url))]
        kids = [[key["kid"] for key in document["keys"]] for document in documents]
        return {"statusCode": 200, "body": json.dumps(kids)}
    try:
        answer = getattr(boto3.client(body["service"]), body["call"])(**body["arguments"])
    except ClientError as error:
        answer = {**error.response["Error"], "Status": error.response["ResponseMetadata"]}
        answer["Status"] = answer["Status"]["HTTPStatusCode"]
    answer.pop("ResponseMetadata", None)
    return {"statusCode": 200, "body": json.dumps(answer, default=str)}
