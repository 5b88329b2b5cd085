"""All of it together: from a template to a WebSocket API that answers, until it is stopped."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local import terminal
from local.deployment import Deployment
from local.errors import LocalError
from local.gateway.gateway import Gateway
from local.gateway.limits import Lifetimes
from local.lambdas.functions import Functions
from local.lambdas.invocations import RETRY_DELAYS, InvokeApi
from local.patches.uvicorn_patches import Server
from local.reload import Watcher
from local.server.application import Application, make_server
from local.storage.embedded import embedded
from local.template.model import Stack

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
    index_lag: tuple[float, float] = (0.1, 0.3)
    write_delay: tuple[float, float] = (0, 0)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    retry_delays: Sequence[float] = RETRY_DELAYS
    page: Path | None = None
    queries: Sequence[str] = ()
    reload: bool = True


def listen(port: int) -> socket.socket:
    """Take the port, before anything that takes time.

    Raises:
        LocalError: If the port is in use or not allowed.

    """
    try:
        return socket.create_server((HOST, port), backlog=1024)
    except OverflowError:
        raise LocalError(f"there is no port {port}: choose one from 1 to 65535") from None
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else "is not allowed"
        raise LocalError(f"port {port} {reason}: choose another with --port") from error


def load_stack(options: Options, scratch: Path) -> Stack:
    """Read the template.

    Raises:
        LocalError: If it is broken, or nothing of it runs here.

    """
    # The transform takes most of a second to import: time in which moto starts.
    from local.template.loader import load  # noqa: PLC0415

    return load(
        options.template,
        overrides=options.overrides,
        region=options.region,
        api=options.api,
        scratch=scratch,
    )


async def run(options: Options, listener: socket.socket) -> None:
    """Serve the template on the listening socket until SIGINT or SIGTERM.

    Raises:
        LocalError: If it cannot start.

    """
    serving = asyncio.create_task(_serve(options, listener))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def _serve(options: Options, listener: socket.socket) -> None:
    async with contextlib.AsyncExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        aws = options.aws_endpoint
        if aws is None:
            aws = await opened.enter_async_context(embedded(options.index_lag, options.write_delay))
        stack = await asyncio.to_thread(load_stack, options, scratch)
        functions = Functions(terminal.log)
        opened.push_async_callback(functions.close)
        gateway = Gateway(stack.api, functions.invoke)
        address = f"{HOST}:{listener.getsockname()[1]}"
        deployment = Deployment(stack, gateway, functions, address, aws)
        errors = await deployment.deploy(stack)
        if errors:
            raise LocalError("\n".join(errors))
        invoke_api = InvokeApi(functions, options.retry_delays)
        server = make_server(Application(gateway, invoke_api, options.lifetimes, options.page))
        await opened.enter_async_context(_running(server, listener))
        if options.reload:
            await opened.enter_async_context(_reloading(options, scratch, deployment))
        terminal.say_remarks(stack)
        page = f"http://{address}/" if options.page else None
        terminal.say_ready(deployment.url, aws, page, options.queries)
        await asyncio.Event().wait()  # until it is cancelled


@contextlib.asynccontextmanager
async def _running(server: Server, listener: socket.socket) -> AsyncIterator[None]:
    # No need to wait for its start: the socket listens already.
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        # From here on, unfinished work is no news.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.should_exit = True
        await serving


def _reloading(
    options: Options, scratch: Path, deployment: Deployment
) -> contextlib.AbstractAsyncContextManager[None]:
    async def on_template() -> None:
        url = deployment.url
        try:
            stack = await asyncio.to_thread(load_stack, options, scratch)
            errors = await deployment.deploy(stack)
        except LocalError as error:
            terminal.say(f"Error: {error} (what ran before runs on)")
            return
        terminal.say_remarks(stack)
        terminal.say_reloaded([options.template.name], errors)
        if deployment.url != url:
            terminal.say(f"Ready: {deployment.url}")

    async def on_code(names: set[str]) -> None:
        terminal.say_reloaded(names, await deployment.redeploy(names))

    functions = lambda: deployment.stack.functions  # noqa: E731 - as it is at each moment
    return Watcher(options.template, functions, on_template, on_code).running()
