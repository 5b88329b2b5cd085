"""One process of one function, which Lambda calls an execution environment."""

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

# A response has 6 MB at most.
_MAX_LINE_BYTES = 16 * 1024 * 1024

# Lambda allows ten seconds; a laptop may be busy with other things:
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
_IMPORT_TIMEOUT_S = 60

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")

type Log = Callable[[str, str], None]


class Worker:
    """A process that runs a function's handler, one invocation at a time.

    Between invocations the process and its child processes are stopped, as Lambda freezes an
    execution environment. Work that a handler left running continues with the next invocation.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html

    Args:
        function: The function.
        environment: All environment variables of the process.
        log: Called with the function's name and a line of its log.

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
        """Start the process and load the handler; return the error if that fails."""
        read_end, write_end = os.pipe()
        paths = [str(path) for path in (self._function.code, *self._function.layers)]
        try:
            # -I keeps out this repository, PYTHON* variables and the user's site-packages; the
            # interpreter's site-packages stand in for the Lambda runtime's. The new process group
            # keeps Ctrl-C away, and its signals reach the processes that the handler starts too.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-u", str(_BOOTSTRAP), str(write_end), *paths,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                cwd=self._function.code,
                pass_fds=[write_end],
                process_group=0,
                limit=_MAX_LINE_BYTES,
            )  # fmt: skip
        except OSError as error:  # the folder may be gone
            os.close(read_end)
            return _failed("Runtime.StartError", f"{error.strerror}: {error.filename}")
        finally:
            os.close(write_end)
        self._results = asyncio.StreamReader(limit=_MAX_LINE_BYTES)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._results), os.fdopen(read_end, "rb")
        )
        self._logs = asyncio.create_task(self._copy_logs())
        try:
            async with asyncio.timeout(_IMPORT_TIMEOUT_S):
                ready = await self._results.readline()
        except TimeoutError:
            self.kill()
            return _failed("Sandbox.Timedout", f"loading took over {_IMPORT_TIMEOUT_S} seconds")
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
        """Whether the process can run an invocation."""
        running = self._process is not None and self._process.returncode is None
        return running and not self._killed

    async def invoke(
        self, event: Any, request_id: str, client_context: Any = None
    ) -> InvocationResult:
        """Run the handler on an event. After the function's timeout, kill the process.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
        """
        assert self._process is not None and self._process.stdin is not None  # noqa: S101, PT018 -- for mypy
        request = {
            "event": event,
            "requestId": request_id,
            "arn": self._function.arn,
            "deadline": time.time() + self._function.timeout_s,
            "clientContext": client_context,
        }
        # Before the write, since a pipe may be too small for the request.
        self._signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(self._function.timeout_s):
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                await self._process.stdin.drain()
                line = await self._results.readline()
        except TimeoutError:
            self.kill()
            message = f"Task timed out after {self._function.timeout_s:.2f} seconds"
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
        result = json.loads(line)
        if "error" in result:
            return InvocationResult(result["error"], is_error=True)
        return InvocationResult(result["result"])

    def kill(self) -> None:
        """Kill the process and the processes that it started, even if they are stopped."""
        self._killed = True
        self._signal(signal.SIGKILL)

    async def wait_closed(self) -> None:
        """Wait until the process has ended and its last log lines are written."""
        if self._process is not None:
            await self._process.wait()
        if self._logs is not None:
            # A process that left the group may hold the pipe for longer: do not wait for it.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._logs, timeout=1)
        if self._transport is not None:
            self._transport.close()

    def _freeze(self) -> None:
        # If the runner is killed, the kernel continues the stopped group, and the process reads the
        # end of its input. `bootstrap.py` handles the cases in which the kernel does not.
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and to the processes that it started."""
        if self._process is not None and self._process.returncode is None:
            # macOS refuses permission if all processes of the group have ended.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    async def _exited(self, request_id: str) -> InvocationResult:
        assert self._process is not None  # noqa: S101 -- for mypy
        status = await self._process.wait()
        self._killed = True
        how = f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
        self._log(self._function.name, message)
        return _failed("Runtime.ExitError", message)

    async def _copy_logs(self) -> None:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018 -- for mypy
        while line := await self._process.stdout.readline():
            self._log(self._function.name, line.decode(errors="replace").rstrip("\r\n"))


def _failed(error_type: str, message: str) -> InvocationResult:
    return InvocationResult({"errorType": error_type, "errorMessage": message}, is_error=True)
