"""Run the integrations of routes, up to their timeouts."""

import asyncio
from collections.abc import Awaitable, Callable

from local.gateway import results
from local.gateway.events import LambdaEvent
from local.gateway.mapped import CallService, run_mapped
from local.invocation_result import InvocationResult
from local.template.model import Route

type Invoke = Callable[[str, LambdaEvent], Awaitable[InvocationResult]]


class Integrations:
    """Runs the integrations of routes.

    Args:
        invoke: Invokes a function, given its name and the event, and returns its result.
        call_service: Calls a service of AWS: see `mapped`.
        report: Called with a line for each malformed result.

    """

    def __init__(
        self, invoke: Invoke, call_service: CallService, report: Callable[[str], None]
    ) -> None:
        self._invoke = invoke
        self._call_service = call_service
        self._report = report
        self._abandoned: set[asyncio.Future[InvocationResult]] = set()

    async def run(
        self, route: Route, event: LambdaEvent, consequence: str | None = None
    ) -> InvocationResult | None:
        """Invoke the route's function; return `None` after the integration's timeout.

        The function then runs on until the function's timeout: API Gateway only stops waiting.
        If the result is malformed, or there is none, report that with its consequence, if given.
        """
        result = await self._wait_for(route, event)
        problem = took_longer(route) if result is None else results.problem_of(result)
        if problem and consequence:
            self._report(f"route {route.key}: {route.runs} {problem}: {consequence}")
        return result

    async def _wait_for(self, route: Route, event: LambdaEvent) -> InvocationResult | None:
        running: Awaitable[InvocationResult]
        if route.mapped is not None:
            running = run_mapped(route.mapped, event, self._invoke, self._call_service)
        elif route.function is not None:
            running = self._invoke(route.function, event)
        else:
            reason = route.not_imitated or "it has no integration"
            error = {"errorType": "NotImitated", "errorMessage": reason}
            return InvocationResult(error, is_error=True, has_run=False)
        invocation = asyncio.ensure_future(running)
        try:
            done, _ = await asyncio.wait({invocation}, timeout=route.timeout_s)
        except asyncio.CancelledError:
            invocation.cancel()
            raise
        if done:
            return invocation.result()
        self._abandoned.add(invocation)
        invocation.add_done_callback(self._abandoned.discard)
        return None


def took_longer(route: Route) -> str:
    """Return what is wrong after the integration's timeout, for the developer."""
    return f"took longer than {route.timeout_s:g} s"
