"""Call a service of AWS with the text of a request, as API Gateway's AWS integrations do."""

import asyncio
import urllib.error
import urllib.request

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
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")
