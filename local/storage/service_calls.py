"""Call a service of AWS with the text of a request, as API Gateway's AWS integrations do."""

import asyncio
import json
import re
import urllib.error
import urllib.request
from typing import Any
from xml.etree import ElementTree as ET

_JSON_TARGETS = {"dynamodb": "DynamoDB_20120810"}


class ServiceCalls:
    """Calls services at one endpoint.

    Args:
        endpoint: The URL of the services.
        region: The region that the run pretends to be in.

    """

    def __init__(self, endpoint: str, region: str) -> None:
        self._endpoint = endpoint
        self._region = region

    async def call(self, target: str, request: str) -> tuple[int, str]:
        """Return the status and the body.

        Args:
            target: `service:action/Name`, or `service:path/…`.
            request: The body: JSON, or a form.

        """
        return await asyncio.to_thread(self._call, target, request)

    def _call(self, target: str, request: str) -> tuple[int, str]:
        service, _, action = target.partition(":")
        how, _, what = action.partition("/")
        # Moto finds the service by the credential's scope, and checks no signature.
        scope = f"Credential=local/20260101/{self._region}/{service}/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=none",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        if service in _JSON_TARGETS:
            headers["Content-Type"] = "application/x-amz-json-1.0"
            headers["X-Amz-Target"] = f"{_JSON_TARGETS[service]}.{what}"
        path = what if how == "path" else ""
        url = f"{self._endpoint}/{path}"
        asked = urllib.request.Request(url, request.strip().encode(), headers)  # noqa: S310 -- http
        try:
            with urllib.request.urlopen(asked, timeout=29) as answer:  # noqa: S310 -- http
                return answer.status, _as_json(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")


def _as_json(text: str) -> str:
    """Return the answer of a service as API Gateway asks for it: as JSON.

    Of SNS and SQS, whose answers are XML here, it has the same elements, as the reply in the
    README of `apigw-websocket-api-sns` in aws-samples/serverless-patterns shows.
    """
    if not text.lstrip().startswith("<"):
        return text
    root = ET.fromstring(text)  # noqa: S314 -- the embedded service wrote it
    return json.dumps({_name(root): _element(root)})


def _name(element: ET.Element) -> str:
    return re.sub(r"^\{.*\}", "", element.tag)


def _element(element: ET.Element) -> Any:
    if not len(element):
        return element.text
    return {_name(child): _element(child) for child in element}
