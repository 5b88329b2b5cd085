"""All of it together: from a template to a WebSocket API that answers."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local import backends
from local.errors import LocalError
from local.functions import Endpoints, Functions
from local.gateway import Gateway
from local.invocations import RETRY_DELAYS, InvokeApi
from local.results import Outcome
from local.server import Application, Lifetimes, Server
from local.stack import Stack

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Options:
    """What a run can be told; `python -m local --help` explains each."""

    template: Path
    port: int = 3001
    overrides: Mapping[str, str] = field(default_factory=dict)
    region: str = "us-east-1"
    api: str | None = None
    aws_endpoint: str | None = None
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    retry_delays: Sequence[float] = RETRY_DELAYS


def listen(port: int) -> socket.socket:
    """Take the port, before anything that takes time.

    Raises:
        LocalError: If the port is in use or not allowed.

    """
    try:
        return socket.create_server((HOST, port), backlog=1024)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "0 to 65535 are possible"
        raise LocalError(f"cannot use port {port}: {reason}; choose another with --port") from error


async def run(options: Options, listener: socket.socket) -> None:
    """Serve the template on the listening socket until SIGINT or SIGTERM.

    Raises:
        LocalError: If it cannot start.

    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(_serve(options, listener, stop))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def _serve(options: Options, listener: socket.socket, stop: asyncio.Event) -> None:
    port = listener.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack_of_contexts:
        enter = stack_of_contexts.enter_async_context
        scratch = stack_of_contexts.enter_context(tempfile.TemporaryDirectory())
        aws = options.aws_endpoint
        if aws is None:
            aws = await enter(backends.embedded())
        stack = await asyncio.to_thread(_load, options, Path(scratch))
        functions = Functions(_log_line)
        stack_of_contexts.push_async_callback(functions.close)
        gateway = Gateway(stack.api, functions.invoke)
        endpoints = Endpoints(aws, f"{HOST}:{port}", stack.api.stage, stack.api.domain_name)
        errors, _ = await asyncio.gather(
            functions.use(stack.functions.values(), endpoints, stack.region),
            asyncio.to_thread(backends.create, stack.storage, aws, stack.region),
        )
        if errors:
            raise LocalError("\n".join(_import_error(name, each) for name, each in errors.items()))
        application = Application(
            gateway, InvokeApi(functions, options.retry_delays), options.lifetimes
        )
        await enter(_running(Server(application), listener))
        _print_ready(stack, port, aws)
        await stop.wait()


@contextlib.asynccontextmanager
async def _running(server: Server, listener: socket.socket) -> AsyncIterator[None]:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.serves.wait()
    try:
        yield
    finally:
        # From here on, unfinished work is no news.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.should_exit = True
        await serving


def _load(options: Options, scratch: Path) -> Stack:
    # The transform takes most of a second to import: time in which moto starts.
    from local.template import load  # noqa: PLC0415

    return load(
        options.template,
        overrides=options.overrides,
        region=options.region,
        api=options.api,
        scratch=scratch,
    )


def _print_ready(stack: Stack, port: int, aws: str) -> None:
    for notice in stack.notices:
        say(f"Not imitated: {notice}")
    url = f"ws://{HOST}:{port}/{stack.api.stage}"
    say(f"Ready: {url}")
    say(f"AWS endpoint: {aws}")
    say("")
    if "1_on_connect" in stack.functions:
        say("Chat in two terminals:")
        say(f'  npx wscat -c "{url}?userId=user123"')
        say(f'  npx wscat -c "{url}?userId=user456"')
    else:
        say(f'  npx wscat -c "{url}"')
    say("")


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


def _log_line(function: str, line: str) -> None:
    # A function may write what the terminal's encoding has no letters for.
    encoding = sys.stdout.encoding
    say(f"[{function}] {line}".encode(encoding, "replace").decode(encoding))


def _import_error(name: str, error: Outcome) -> str:
    payload = error.payload
    return (
        f"{name}: the handler cannot be imported: {payload['errorType']}: {payload['errorMessage']}"
    )
