"""One process of one function: what Lambda calls an execution environment."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.invocation_result import InvocationResult
from local.template.model import Function

# Longer than any response, which has 6 MB at most.
_LINE_LIMIT = 16 * 1024 * 1024

# Lambda allows ten seconds, on a machine of its own:
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
_LOADING_SECONDS = 60

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")

type Log = Callable[[str, str], None]


class Worker:
    """A process that runs a function's handler, one invocation at a time.

    Between invocations the process is stopped, and those that it started, as Lambda freezes an
    execution environment: what a handler leaves running goes on with the next invocation.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html

    Args:
        function: The function.
        environment: All the variables that the process gets.
        log: Takes the function's name and a line that it wrote.

    """

    def __init__(self, function: Function, environment: Mapping[str, str], log: Log) -> None:
        self._function = function
        self._environment = environment
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._logs: asyncio.Task[None] | None = None
        self._transport: asyncio.ReadTransport | None = None
        self._killed = False

    async def start(self) -> InvocationResult | None:
        """Start the process and wait for its handler; return the error if it has none."""
        read_end, write_end = os.pipe()
        paths = [str(path) for path in (self._function.code, *self._function.layers)]
        try:
            # -I keeps this repository, the caller's PYTHON* variables and the user's own packages
            # out; the interpreter's site-packages stand in for the Lambda runtime's. A process
            # group of its own keeps Ctrl-C away, and takes along what the handler starts.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-u", str(_BOOTSTRAP), str(write_end), *paths,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                cwd=self._function.code,
                pass_fds=[write_end],
                process_group=0,
                limit=_LINE_LIMIT,
            )  # fmt: skip
        except OSError as error:  # the folder may be gone
            os.close(read_end)
            return _failed("Runtime.StartError", f"{error.strerror}: {error.filename}")
        finally:
            os.close(write_end)
        self._results = asyncio.StreamReader(limit=_LINE_LIMIT)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._results), os.fdopen(read_end, "rb")
        )
        self._logs = asyncio.create_task(self._copy_logs())
        try:
            async with asyncio.timeout(_LOADING_SECONDS):
                ready = await self._results.readline()
        except TimeoutError:
            self.kill()
            return _failed("Sandbox.Timedout", f"loading took over {_LOADING_SECONDS} seconds")
        if not ready:
            return await self._exited("")
        message = json.loads(ready)
        if "initError" in message:
            self.kill()
            return InvocationResult(message["initError"], is_error=True)
        self._freeze()
        return None

    @property
    def is_alive(self) -> bool:
        """Whether it can take an invocation."""
        running = self._process is not None and self._process.returncode is None
        return running and not self._killed

    async def invoke(
        self, event: Any, request_id: str, client_context: Any = None
    ) -> InvocationResult:
        """Run the handler on an event. Past the function's timeout the process is killed.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
        """
        assert self._process is not None and self._process.stdin is not None  # noqa: S101, PT018
        request = {
            "event": event,
            "requestId": request_id,
            "arn": self._function.arn,
            "deadline": time.time() + self._function.timeout,
            "clientContext": client_context,
        }
        # Before the request is written, which may be more than a pipe holds.
        self._signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(self._function.timeout):
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                await self._process.stdin.drain()
                line = await self._results.readline()
        except TimeoutError:
            self.kill()
            message = f"Task timed out after {self._function.timeout:.2f} seconds"
            self._log(self._function.name, f"{request_id} {message}")
            return _failed("Sandbox.Timedout", f"RequestId: {request_id} Error: {message}")
        except (ConnectionError, BrokenPipeError):
            line = b""
        except asyncio.CancelledError:
            self.kill()
            raise
        if not line:
            return await self._exited(request_id)
        self._freeze()
        answer = json.loads(line)
        if "error" in answer:
            return InvocationResult(answer["error"], is_error=True)
        return InvocationResult(answer["result"])

    def kill(self) -> None:
        """End the process, and the processes it started, at once, stopped or not."""
        self._killed = True
        self._signal(signal.SIGKILL)

    async def ended(self) -> None:
        """Wait for the process to be gone and its last log lines to be written."""
        if self._process is not None:
            await self._process.wait()
        if self._logs is not None:
            # A process that left the group may still hold the pipe; nobody waits for that one.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._logs, timeout=1)
        if self._transport is not None:
            self._transport.close()

    def _freeze(self) -> None:
        # If the runner is killed, the kernel continues the stopped group, and the process reads the
        # end of its input; `bootstrap.py` sees to the cases in which the kernel does not.
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and to the processes it started."""
        if self._process is not None and self._process.returncode is None:
            # macOS refuses permission where all that is left has ended.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    async def _exited(self, request_id: str) -> InvocationResult:
        assert self._process is not None  # noqa: S101
        status = await self._process.wait()
        self._killed = True
        how = f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
        self._log(self._function.name, message)
        return _failed("Runtime.ExitError", message)

    async def _copy_logs(self) -> None:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018
        while line := await self._process.stdout.readline():
            self._log(self._function.name, line.decode(errors="replace").rstrip("\r\n"))


def _failed(error_type: str, message: str) -> InvocationResult:
    return InvocationResult({"errorType": error_type, "errorMessage": message}, is_error=True)
