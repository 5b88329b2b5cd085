"""Lambda's Invoke API: synchronous, and asynchronous with Lambda's own retries.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import asyncio
import base64
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from local.invocation_result import InvocationResult
from local.lambdas.functions import Functions
from local.template.model import function_of_arn

# A failed asynchronous invocation is tried twice more, after one and after two minutes:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
RETRY_DELAYS = (60.0, 120.0)


@dataclass(frozen=True, slots=True)
class Response:
    """What the caller gets."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class InvokeApi:
    """Invokes functions for callers other than API Gateway.

    Args:
        functions: The functions.
        retry_delays: Seconds before each retry of a failed asynchronous invocation.

    """

    def __init__(self, functions: Functions, retry_delays: Sequence[float] = RETRY_DELAYS) -> None:
        self._functions = functions
        self._retry_delays = retry_delays
        self._running: set[asyncio.Task[None]] = set()

    async def invoke(
        self, function: str, payload: bytes, kind: str, client_context: str | None = None
    ) -> Response:
        """Invoke a function, named by its name or ARN (with or without a version or alias).

        Args:
            function: The name.
            payload: The event, JSON; nothing stands for an empty object.
            kind: `RequestResponse`, `Event` or `DryRun`.
            client_context: Base64 of JSON for the handler's `context.client_context`.

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
            return Response(204)
        if kind == "Event":
            task = asyncio.create_task(self._invoke_with_retries(name, event, context))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            return Response(202)
        outcome = await self._functions.invoke(name, event, client_context=context)
        return _response(outcome)

    async def _invoke_with_retries(self, name: str, event: Any, context: Any) -> None:
        # A retry has the id of the first attempt.
        request_id = str(uuid.uuid4())
        retries = self._functions.retries(name)
        for delay in (0.0, *self._retry_delays[:retries]):
            await asyncio.sleep(delay)
            if name not in self._functions:
                return
            outcome = await self._functions.invoke(
                name, event, request_id=request_id, client_context=context
            )
            if not outcome.is_error:
                return


def _response(outcome: InvocationResult) -> Response:
    headers = {"X-Amz-Executed-Version": "$LATEST"}
    if outcome.is_error:
        headers["X-Amz-Function-Error"] = "Unhandled"
    return Response(200, json.dumps(outcome.payload).encode(), headers)


def _error(status: int, kind: str, message: str) -> Response:
    body = json.dumps({"Type": "User", "Message": message}).encode()
    return Response(status, body, {"x-amzn-ErrorType": kind})
