"""Lambda's Invoke API: synchronous, and asynchronous with Lambda's retries.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import asyncio
import base64
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.invocation_result import InvocationResult
from local.lambdas.functions import Functions
from local.template.model import function_of_arn

# Lambda retries a failed asynchronous invocation twice, after one and after two minutes:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
RETRY_DELAYS = (60.0, 120.0)


@dataclass(frozen=True, slots=True)
class InvokeResponse:
    """The response to a caller of the Invoke API."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class InvokeApi:
    """Invokes functions for callers other than API Gateway.

    Args:
        functions: The functions.
        retry_delays: Seconds before each retry of a failed asynchronous invocation.
        report: Called with a line for each asynchronous invocation that fails.

    """

    def __init__(
        self,
        functions: Functions,
        retry_delays: Sequence[float] = RETRY_DELAYS,
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._functions = functions
        self._retry_delays = retry_delays
        self._report = report
        self._running: set[asyncio.Task[None]] = set()

    async def invoke(
        self, function: str, payload: bytes, kind: str, client_context: str | None = None
    ) -> InvokeResponse:
        """Invoke a function, named by its name or ARN (with or without a version or alias).

        Args:
            function: The name.
            payload: The event as JSON; an empty payload stands for an empty object.
            kind: `RequestResponse`, `Event` or `DryRun`.
            client_context: The handler's `context.client_context`, as Base64 of JSON.

        """
        name = function_of_arn(function) or function.partition(":")[0]
        if name not in self._functions:
            return _error(404, "ResourceNotFoundException", f"Function not found: {function}")
        try:
            event = json.loads(payload) if payload else {}
            context = json.loads(base64.b64decode(client_context)) if client_context else None
        except ValueError as error:
            message = f"Could not parse request body into json: {error}"
            return _error(400, "InvalidRequestContentException", message)
        if kind == "DryRun":
            return InvokeResponse(204)
        if kind == "Event":
            task = asyncio.create_task(self._invoke_with_retries(name, event, context))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            return InvokeResponse(202)
        result = await self._functions.invoke(name, event, client_context=context)
        return _response(result)

    async def _invoke_with_retries(self, name: str, event: Any, context: Any) -> None:
        # Retries have the request id of the first attempt.
        request_id = str(uuid.uuid4())
        delays = self._retry_delays[: self._functions.max_retries(name)]
        for delay, next_delay in zip((0.0, *delays), (*delays, None), strict=True):
            await asyncio.sleep(delay)
            if name not in self._functions:
                return
            result = await self._functions.invoke(
                name, event, request_id=request_id, client_context=context
            )
            if not result.is_error:
                return
            then = "drops the event" if next_delay is None else f"retries in {next_delay:g} s"
            self._report(
                f"{name} failed in an asynchronous invocation: {result.error}: Lambda {then}"
            )


def _response(result: InvocationResult) -> InvokeResponse:
    headers = {"X-Amz-Executed-Version": "$LATEST"}
    if result.is_error:
        headers["X-Amz-Function-Error"] = "Unhandled"
    return InvokeResponse(200, json.dumps(result.payload).encode(), headers)


def _error(status: int, kind: str, message: str) -> InvokeResponse:
    body = json.dumps({"Type": "User", "Message": message}).encode()
    return InvokeResponse(status, body, {"x-amzn-ErrorType": kind})
