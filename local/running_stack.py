"""Run a stack, and replace it after an edit."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from local.credentials import EMBEDDED, Credentials
from local.gateway.gateway import Gateway
from local.iam.access import RolesFile
from local.invocation_result import InvocationResult
from local.lambdas.event_sources import EventSources
from local.lambdas.functions import Endpoints, Functions
from local.storage.clients import clients
from local.storage.create import create
from local.storage.dynamic_references import DynamicReferences
from local.template.model import Function, Stack


class RunningStack:
    """The stack that runs now. The gateway and the functions outlive it.

    Args:
        stack: The first stack.
        gateway: Serves its API.
        functions: Runs its functions.
        event_sources: Invoke them for records and messages.
        address: Host and port of the gateway, for clients.
        loopback_address: The same, for the functions.
        aws: The URL of DynamoDB and S3.
        s3: The URL of S3 in links to files.
        credentials: For both.
        roles: Takes the roles of the functions.
        report: Called with a line for what cannot be created, and for errors of `start_others`.

    """

    def __init__(
        self,
        stack: Stack,
        gateway: Gateway,
        functions: Functions,
        event_sources: EventSources,
        address: str,
        loopback_address: str,
        aws: str,
        s3: str,
        credentials: Credentials,
        roles: RolesFile,
        report: Callable[[str], None],
    ) -> None:
        self.stack = stack
        self._gateway = gateway
        self._functions = functions
        self._event_sources = event_sources
        self._address = address
        self._loopback_address = loopback_address
        self._aws = aws
        self._s3 = s3
        self._credentials = credentials
        self._roles = roles
        self._report = report

    @property
    def url(self) -> str:
        """The URL that clients connect to."""
        return f"ws://{self._address}/{self.stack.api.stage}"

    @property
    def _has_issuers(self) -> bool:
        pools = [item for item in self.stack.storage if item.kind == "AWS::Cognito::UserPool"]
        return bool(pools) and self._credentials.access_key == EMBEDDED.access_key

    async def replace(self, stack: Stack) -> dict[str, str]:
        """Run a stack; return a line for each function that cannot be imported, by name.

        Functions that no route and no event source needs start with `start_others`.

        Raises:
            LocalError: If its tables or buckets cannot be created.

        """
        # Tables first: some functions look for them at import.
        stack = await asyncio.to_thread(self._create, stack)
        self.stack = stack
        self._roles.write(stack.roles)
        self._gateway.replace_api(stack.api)
        needed = stack.api.functions | {source.function for source in stack.event_sources}
        errors = await self._use_functions(set(), stack.functions.keys() - needed)
        await self._event_sources.use(stack.event_sources, self._aws, stack.region)
        return errors

    def _create(self, stack: Stack) -> Stack:
        """Create what the stack has, and return it with the values of its dynamic references."""
        refused = create(stack.storage, self._aws, stack.region, self._credentials)
        references = DynamicReferences(clients(self._aws, stack.region, self._credentials))
        functions = references.in_functions(stack.functions)
        for line in [*refused, *references.unresolved]:
            self._report(line)
        return replace(stack, functions=functions)

    async def restart_functions(self, names: set[str]) -> dict[str, str]:
        """Restart functions with their changed code; return a line for each import error."""
        return await self._use_functions(names)

    def start_others(self) -> None:
        """Start, in the background, the functions that only other functions invoke."""
        self._functions.start_others(self._report_import_error)

    def _report_import_error(self, name: str, error: InvocationResult) -> None:
        stack = self.stack
        if not any(warning.startswith(f"{name}:") for warning in stack.warnings):
            self._report(_import_error(stack.functions[name], error))

    async def _use_functions(
        self, changed: set[str], later: Collection[str] = ()
    ) -> dict[str, str]:
        api = self.stack.api
        errors = await self._functions.use(
            self.stack.functions.values(),
            Endpoints(
                self._aws,
                self._s3,
                self._loopback_address,
                api.stage,
                api.domain_name,
                self._credentials,
                self._has_issuers,
            ),
            self.stack.region,
            changed,
            later,
        )
        functions = self.stack.functions
        return {name: _import_error(functions[name], error) for name, error in errors.items()}


def _import_error(function: Function, error: InvocationResult) -> str:
    payload = error.payload
    message = " ".join(payload["errorMessage"].split())
    where = ""
    for frame in payload.get("stackTrace", []):  # File "…", line 1, in …
        path = Path(frame.partition('"')[2].partition('"')[0])
        if any(path.is_relative_to(root) for root in (function.code, *function.layers)):
            where = f" ({path.name}, line {frame.partition(', line ')[2].partition(',')[0]})"
    kind = payload["errorType"]
    hint = "; see local/README.md about dependencies" if kind == "ModuleNotFoundError" else ""
    return f"{function.name}: the handler cannot be imported: {kind}: {message}{where}{hint}"
