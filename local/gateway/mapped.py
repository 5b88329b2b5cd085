"""Run integrations that are no proxies: MOCK, and AWS with mapping templates.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-integration-requests.html
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from local.gateway.mapping_templates import WrongTemplateError, find_path, render
from local.invocation_result import InvocationResult
from local.template.model import MappedIntegration, MappedResponse

type Invoke = Callable[[str, Any], Awaitable[InvocationResult]]
type CallService = Callable[[str, str], Awaitable[tuple[int, str]]]

_BODY_FIELD = re.compile(r"^\$?\{?request\.body\.([\w.]+)\}?$")


async def no_service(target: str, _request: str) -> tuple[int, str]:
    """Stand in for the services of AWS where there are none.

    Raises:
        ValueError: Always.

    """
    raise ValueError(f"{target} cannot be called")


async def run_mapped(
    integration: MappedIntegration,
    event: Mapping[str, Any],
    invoke: Invoke,
    call_service: CallService,
) -> InvocationResult:
    """Return the response of an integration, in the form of a proxy's.

    Args:
        integration: The integration.
        event: The event that a proxy would get.
        invoke: Invokes a function.
        call_service: Calls a service of AWS, given `service:action/Name` and the request's text.

    """
    body = event.get("body") or ""
    try:
        template = _choose(integration.templates, integration.selection, body)
        request = render(template, body, event) if template is not None else body
        if integration.kind == "MOCK":
            # Without a template: the status is not documented.
            status, result = (_mock_status(request) if template is not None else 200), ""
        elif integration.kind == "function":
            outcome = await invoke(integration.target, _as_json(request))
            if outcome.is_error:
                return outcome
            status, result = 200, json.dumps(outcome.payload)
        else:
            status, result = await call_service(integration.target, request)
            if status >= 400:
                return _failed(f"{integration.target} answered {status}: {result[:200]}")
        response = _response(integration.responses, status)
        template = _choose(response.templates, response.selection, body) if response else None
        if template is not None:
            result = render(template, result, event)
    except (WrongTemplateError, TypeError, ValueError) as error:
        return _failed(f"mapping template: {error}")
    return InvocationResult({"statusCode": status, "body": result})


def _failed(message: str) -> InvocationResult:
    error = {"errorType": "Integration", "errorMessage": message}
    return InvocationResult(error, is_error=True, has_run=False)


def _choose(templates: Mapping[str, str], selection: str, body: str) -> str | None:
    """Return the template that the selection expression names, or that of `$default`, if any."""
    field = _BODY_FIELD.match(selection)
    key = str(find_path(body, field[1])) if field else selection.replace("\\", "")
    for name in (key, "$default", "application/json"):
        if name in templates:
            return templates[name]
    return None


def _response(responses: tuple[MappedResponse, ...], status: int) -> MappedResponse | None:
    """Return the integration response for a status: its key is a pattern, or `$default`."""
    for response in responses:
        pattern = response.key.strip("/")
        if response.key != "$default" and re.fullmatch(pattern, str(status)):
            return response
    return next((response for response in responses if response.key == "$default"), None)


def _mock_status(request: str) -> int:
    status = _as_json(request)
    code = status.get("statusCode") if isinstance(status, dict) else None
    if not isinstance(code, int):
        raise WrongTemplateError("a MOCK integration's template must give a statusCode")
    return code


def _as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
