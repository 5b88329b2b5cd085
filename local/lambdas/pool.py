"""The worker processes of one function."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local.invocation_result import InvocationResult
from local.lambdas.worker import Log, Worker
from local.template.model import Function

# AWS starts up to a thousand, for which a laptop has too little memory. Further invocations wait.
# There are more processes than cores, since an invocation may wait for seconds.
MAX_PROCESSES = 16
# Starting Python uses a core for half a second.
_MAX_STARTING = 2


class Pool:
    """The worker processes of one function.

    An invocation takes the idle process that was used last. If no process is idle, the pool starts
    one, and the invocation takes the first process that is free, old or new.
    """

    def __init__(self, function: Function, variables: Mapping[str, str], log: Log) -> None:
        self._function = function
        self._variables = variables
        self._log = log
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._waiting: deque[asyncio.Future[Worker | InvocationResult]] = deque()
        self._starting: set[asyncio.Task[Any] | None] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        self.has_started = False

    async def start(self) -> InvocationResult | None:
        """Start a process; return the error if the handler cannot be imported."""
        worker = await self._new_worker()
        if isinstance(worker, InvocationResult):
            return worker
        self._free(worker)
        return None

    async def invoke(
        self, event: Any, request_id: str, client_context: Any = None
    ) -> InvocationResult:
        """Run the function in a process that has no other invocation at the time."""
        worker = await self._acquire()
        if isinstance(worker, InvocationResult):
            return replace(worker, has_run=False)
        try:
            return await worker.invoke(event, request_id, client_context)
        finally:
            self._free(worker)

    @property
    def is_empty(self) -> bool:
        """Whether all processes have ended."""
        return not (self._workers or self._starting or self._ending)

    def retire(self) -> None:
        """End the idle processes now, and the busy ones after their invocation."""
        self._closed = True
        for worker in self._idle:
            self._end(worker)
        self._idle.clear()

    async def close(self) -> None:
        """End all processes and wait until they are gone."""
        self._closed = True
        while self._hand_over(InvocationResult({"errorType": "Shutdown"}, is_error=True)):
            pass
        starting = [task for task in self._starting if task is not None]
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        for worker in list(self._workers):
            self._end(worker)
        await asyncio.gather(*self._ending)

    async def _acquire(self) -> Worker | InvocationResult:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            self._end(worker)
        waiting: asyncio.Future[Worker | InvocationResult] = (
            asyncio.get_running_loop().create_future()
        )
        self._waiting.append(waiting)
        self._grow()
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                result = waiting.result()
                if isinstance(result, Worker):
                    self._free(result)
            raise

    def _grow(self) -> None:
        self._waiting = deque(future for future in self._waiting if not future.done())
        wanted = len(self._waiting) - len(self._starting)
        room = min(MAX_PROCESSES - len(self._workers), _MAX_STARTING - len(self._starting))
        for _ in range(min(wanted, room)):
            task = asyncio.create_task(self._add_worker())
            self._starting.add(task)

    async def _add_worker(self) -> None:
        worker = await self._new_worker()
        self._starting.discard(asyncio.current_task())
        if isinstance(worker, Worker):
            self._free(worker)
        else:
            # A waiting invocation gets the error that kept the process from starting.
            self._hand_over(worker)
            self._grow()

    async def _new_worker(self) -> Worker | InvocationResult:
        self.has_started = True
        worker = Worker(self._function, self._variables, self._log)
        self._workers.add(worker)
        error = await worker.start()
        if error is not None:
            self._end(worker)
            return error
        return worker

    def _free(self, worker: Worker) -> None:
        if not worker.is_alive or (self._closed and not self._waiting):
            self._end(worker)
        elif not self._hand_over(worker):
            self._idle.append(worker)
        self._grow()

    def _end(self, worker: Worker) -> None:
        worker.kill()
        self._workers.discard(worker)
        task = asyncio.create_task(worker.wait_closed())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _hand_over(self, worker: Worker | InvocationResult) -> bool:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(worker)
                return True
        return False
