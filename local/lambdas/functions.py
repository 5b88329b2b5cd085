"""Run the functions of a stack, each with its environment variables."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.credentials import EMBEDDED, Credentials
from local.invocation_result import InvocationResult
from local.lambdas.pool import Pool
from local.lambdas.worker import Log
from local.patches.botocore_plugin import plugin_variables
from local.template.model import Function


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of AWS for functions.

    `aws` is the URL of DynamoDB, `s3` that of S3, which links to files have, and `credentials` are
    for them; `gateway` the host and port of `@connections` and Lambda; `api_domain` the host name
    that AWS would serve the API at.
    `has_issuers` is whether `aws` has the user pools of the stack, whose tokens functions verify.
    """

    aws: str
    s3: str
    gateway: str
    stage: str
    api_domain: str
    credentials: Credentials = EMBEDDED
    has_issuers: bool = False

    def variables(self, function: str) -> dict[str, str]:
        """Return a function's environment variables for botocore and for `bootstrap.py`."""
        return {
            **self.credentials.of_function(function).variables(),
            "AWS_ENDPOINT_URL": self.aws,
            "AWS_ENDPOINT_URL_S3": self.s3,
            "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": f"http://{self.gateway}/{self.stage}",
            "AWS_ENDPOINT_URL_LAMBDA": f"http://{self.gateway}",
            "LOCAL_GATEWAY": f"{self.api_domain} {self.gateway}",
            **({"LOCAL_ISSUERS": urlsplit(self.aws).netloc} if self.has_issuers else {}),
            **plugin_variables(),
        }


def environment(function: Function, endpoints: Endpoints, region: str) -> dict[str, str]:
    """Return the environment variables of a process: the function's, and those that Lambda sets.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    # A function with the log format Text has no log level on AWS, and is not told one:
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    is_json = function.log_format == "JSON"
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        **dict(function.environment),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mib),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": f"[$LATEST]{uuid.uuid4().hex}",
        "AWS_LAMBDA_LOG_FORMAT": function.log_format,
        **({"AWS_LAMBDA_LOG_LEVEL": function.log_level} if is_json else {}),
        "LAMBDA_TASK_ROOT": str(function.code),
        "_HANDLER": function.handler,
        # Keep the developer's AWS profile away from functions.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **endpoints.variables(function.name),
    }


class Functions:
    """All functions of a stack.

    Args:
        log: Called with a function's name and a line of its log.

    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._others: asyncio.Task[None] | None = None
        self._pools: dict[str, Pool] = {}
        self._functions: dict[str, Function] = {}
        self._endpoints: Endpoints | None = None
        self._retired: list[Pool] = []

    def __contains__(self, name: str) -> bool:
        return name in self._pools

    def max_retries(self, name: str) -> int:
        """Return how often a failed asynchronous invocation is retried."""
        return self._functions[name].max_retries

    async def use(
        self,
        functions: Iterable[Function],
        endpoints: Endpoints,
        region: str,
        changed: Iterable[str] = (),
        later: Container[str] = (),
    ) -> dict[str, InvocationResult]:
        """Run these functions from now on; return the errors of handlers that cannot be loaded.

        Args:
            functions: All functions.
            endpoints: The addresses of AWS for them.
            region: The region that the run pretends to be in.
            changed: The names of the functions whose code has changed. Other functions keep their
                processes if they are the same as before.
            later: The names of the functions that start one after the other, by `start_others`.

        """
        new = {function.name: function for function in functions}
        for name in self._pools.keys() - new.keys():
            self._retire(name)
        fresh = []
        moved = endpoints != self._endpoints
        self._endpoints = endpoints
        for name, function in new.items():
            if self._functions.get(name) == function and name not in changed and not moved:
                continue
            self._retire(name)
            variables = environment(function, endpoints, region)
            self._pools[name] = Pool(function, variables, self._log)
            self._functions[name] = function
            fresh.append(name)
        first = [name for name in fresh if name not in later]
        started = await asyncio.gather(*(self._pools[name].start() for name in first))
        return {name: error for name, error in zip(first, started, strict=True) if error}

    def start_others(self, on_error: Callable[[str, InvocationResult], None]) -> None:
        """Start the functions that have no process yet: one at a time, in the background.

        An invocation meanwhile starts its function at once.

        Args:
            on_error: Called with the name of each function that cannot be loaded, and the error.

        """
        if self._others is None or self._others.done():
            self._others = asyncio.create_task(self._start_others(on_error))

    async def _start_others(self, on_error: Callable[[str, InvocationResult], None]) -> None:
        while idle := [name for name, pool in self._pools.items() if not pool.has_started]:
            error = await self._pools[idle[0]].start()
            if error:
                on_error(idle[0], error)

    async def invoke(
        self,
        name: str,
        event: Any,
        *,
        request_id: str | None = None,
        client_context: Any = None,
    ) -> InvocationResult:
        """Invoke a function and return its result."""
        return await self._pools[name].invoke(
            event, request_id or str(uuid.uuid4()), client_context
        )

    async def close(self) -> None:
        """End all processes."""
        if self._others is not None:
            self._others.cancel()
            await asyncio.gather(self._others, return_exceptions=True)
        pools = [*self._pools.values(), *self._retired]
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*(pool.close() for pool in pools))

    def _retire(self, name: str) -> None:
        if name in self._pools:
            pool = self._pools.pop(name)
            del self._functions[name]
            pool.retire()
            self._retired = [each for each in self._retired if not each.is_empty] + [pool]
