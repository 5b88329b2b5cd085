"""Run a template: start everything, and stop it at a signal."""

import asyncio
import contextlib
import logging
import signal
import socket
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from local import terminal
from local.credentials import EMBEDDED, Credentials
from local.errors import LocalError
from local.gateway.gateway import Gateway
from local.gateway.limits import Lifetimes
from local.iam.access import AccessControl, RolesFile
from local.lambdas.event_sources import EventSources
from local.lambdas.functions import Functions
from local.lambdas.invocations import RETRY_DELAYS, InvokeApi
from local.listening import LOOPBACK_ADDRESS, allowed_hosts, reachable_host
from local.patches.uvicorn_patches import Server
from local.reload import Watcher
from local.running_stack import RunningStack
from local.server.application import Application
from local.server.hosts import LOOPBACK
from local.server.page import PageFiles
from local.server.role_check import RoleCheck
from local.server.server import make_server
from local.server.web_pages import Allowed
from local.storage.data_folder import locked
from local.storage.embedded import embedded
from local.storage.service_calls import ServiceCalls
from local.template.model import Stack


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run; `python -m local --help` explains each."""

    template: Path
    host: str = LOOPBACK_ADDRESS
    port: int = 3001
    aws_port: int = 0
    origins: frozenset[str] = frozenset()
    overrides: Mapping[str, str] = field(default_factory=dict)
    region: str = "us-east-1"
    api: str | None = None
    aws_endpoint: str | None = None
    data: Path | None = None
    credentials: Credentials = EMBEDDED
    index_lag: tuple[float, float] = (0.1, 0.3)
    write_delay: tuple[float, float] = (0, 0)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    retry_delays: Sequence[float] = RETRY_DELAYS
    page: Path | None = None
    queries: Sequence[str] = ()
    reload: bool = True
    iam: bool = True

    @property
    def checks_roles(self) -> bool:
        """Whether the roles of functions limit their calls: only the embedded AWS knows them."""
        return self.iam and self.aws_endpoint is None


def load_stack(options: Options, scratch: Path) -> Stack:
    """Read the template.

    Raises:
        LocalError: If it is broken, or nothing of it runs here.

    """
    # The import of the transform takes most of a second, in which moto starts.
    from local.template.loader import load  # noqa: PLC0415 -- see above

    stack = load(
        options.template,
        overrides=options.overrides,
        region=options.region,
        api=options.api,
        scratch=scratch,
    )
    return stack if options.checks_roles else replace(stack, roles={}, role_notices=())


async def run(options: Options, listeners: list[socket.socket]) -> None:
    """Serve the template on the listening sockets until SIGINT or SIGTERM.

    Raises:
        LocalError: If it cannot start.

    """
    serving = asyncio.create_task(_serve(options, listeners))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def _serve(options: Options, listeners: list[socket.socket]) -> None:
    async with contextlib.AsyncExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        # A database at --aws-endpoint may outlive the runner, so its id is not known.
        database_id = "" if options.aws_endpoint else uuid.uuid4().hex
        if options.data:
            database_id = opened.enter_context(locked(options.data))
        roles = RolesFile(scratch / "roles.json")
        aws = s3 = options.aws_endpoint
        if aws is None or s3 is None:
            aws = await opened.enter_async_context(
                embedded(
                    options.index_lag,
                    options.write_delay,
                    host=options.host,
                    port=options.aws_port,
                    credentials=options.credentials,
                    data=options.data,
                    roles=roles.path if options.checks_roles else None,
                )
            )
            s3 = aws.replace(LOOPBACK_ADDRESS, reachable_host(options.host))
        stack = await asyncio.to_thread(load_stack, options, scratch)
        functions = Functions(terminal.print_log_line)
        opened.push_async_callback(functions.close)
        gateway = Gateway(
            stack.api,
            functions.invoke,
            ServiceCalls(aws, options.region).call,
            terminal.print_warning,
        )
        invoke_api = InvokeApi(functions, options.retry_delays, terminal.print_warning)
        event_sources = EventSources(functions, invoke_api, terminal.print_warning)
        opened.push_async_callback(event_sources.close)
        port = listeners[0].getsockname()[1]
        address = f"{reachable_host(options.host)}:{port}"
        running_stack = RunningStack(
            stack,
            gateway,
            functions,
            event_sources,
            address,
            f"{LOOPBACK_ADDRESS}:{port}",
            aws,
            s3,
            options.credentials,
            roles,
            terminal.print_warning,
        )
        terminal.print_remarks(stack)
        errors = await running_stack.replace(stack)
        if not stack.api.has_running_route(errors):
            needed = [error for name, error in errors.items() if name in stack.api.functions]
            raise LocalError("\n".join(needed) or "no route runs here: the lines above say why")
        terminal.print_import_errors(errors, stack.warnings)
        access = AccessControl(roles, terminal.print_warning)
        files = PageFiles(options.page, database_id) if options.page else None
        application = Application(
            gateway, invoke_api, options.lifetimes, files, terminal.print_warning
        )
        server = make_server(
            RoleCheck(application.asgi, gateway, access),
            Allowed(allowed_hosts(options.host), options.origins),
            terminal.print_warning,
        )
        await opened.enter_async_context(_running(server, listeners))
        if options.reload:
            await opened.enter_async_context(_reloading(options, scratch, running_stack))
        if options.host not in LOOPBACK:
            terminal.print_open(options.host)
        page = f"http://{address}/" if options.page else None
        terminal.print_urls(running_stack.url, aws, page, options.queries)
        running_stack.start_others()
        await asyncio.Event().wait()  # until it is cancelled


@contextlib.asynccontextmanager
async def _running(server: Server, listeners: list[socket.socket]) -> AsyncIterator[None]:
    # No need to wait for its start: the sockets listen already.
    serving = asyncio.create_task(server.serve(sockets=listeners))
    try:
        yield
    finally:
        # Uvicorn logs requests that did not finish, which is expected now.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.should_exit = True
        await serving


def _reloading(
    options: Options, scratch: Path, running_stack: RunningStack
) -> contextlib.AbstractAsyncContextManager[None]:
    async def on_template() -> None:
        url = running_stack.url
        try:
            stack = await asyncio.to_thread(load_stack, options, scratch)
            errors = await running_stack.replace(stack)
        except LocalError as error:
            terminal.print_line(f"Error: {error} (what ran before runs on)")
            return
        terminal.print_remarks(stack)
        terminal.print_reloaded([options.template.name], errors.values())
        if running_stack.url != url:
            terminal.print_line(f"Ready: {running_stack.url}")
        running_stack.start_others()

    async def on_code(names: set[str]) -> None:
        errors = await running_stack.restart_functions(names)
        terminal.print_reloaded(names, errors.values())

    functions = lambda: running_stack.stack.functions  # noqa: E731 -- the functions change
    return Watcher(options.template, functions, on_template, on_code).running()
