"""Each function may do what it does, and nothing else: the template against the calls made."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast
from unittest.mock import patch

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.signers import RequestSigner

from local.iam.calls import connection_call, permissions_for
from local.iam.policies import Permission, Statement
from local.template.model import Stack
from tests.support.backend import Backend, Container
from tests.support.calls import call_of
from tests.support.flows import Flows
from tests.support.network import Network


@dataclass
class Recorder:
    """What one function calls.

    Attributes:
        permissions: Those that its calls need.
    """

    container: Container
    wire: Network
    stack: Stack
    permissions: set[Permission] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def __call__(self, event: object) -> dict[str, Any]:
        before = len(self.wire.requests)
        with self._signing():
            reply = self.container(event)
        for operation, request in self.wire.requests[before:]:
            service = operation.partition(".")[0]
            self.permissions |= set(permissions_of(service, request, self.stack))
        return reply

    @contextmanager
    def _signing(self) -> Iterator[None]:
        """Notice what is signed: a presigned link needs its signer's rights when it is used."""
        real = RequestSigner.generate_presigned_url

        def sign(
            signer: Any, request_dict: dict[str, Any], operation_name: str, **more: Any
        ) -> Any:
            request = AWSPreparedRequest(
                request_dict["method"], request_dict["url"], request_dict["headers"], b"", False
            )
            self.permissions |= set(permissions_of("s3", request, self.stack))
            return real(signer, request_dict, operation_name, **more)

        with patch.object(RequestSigner, "generate_presigned_url", sign):
            yield


def permissions_of(service: str, request: AWSPreparedRequest, stack: Stack) -> list[Permission]:
    """Return what a request needs, as the local runner sees it."""
    if service == "apigatewaymanagementapi":
        return [connection_call(stack.api, request.method)]
    found = permissions_for(call_of(service, stack.region, request))
    assert found, f"local/iam does not know what {service} {request.url} needs"
    return found


def granted(stack: Stack) -> dict[str, set[Permission]]:
    """List what the template allows each function, by its folder, without log and traces."""
    folders = {function.code.name: name for name, function in stack.functions.items()}
    return {
        folder: {
            Permission(action, resource)
            for statement in stack.roles[name].statements
            for action in statement.actions
            for resource in statement.resources
            if not action.startswith(("logs:", "xray:"))
        }
        for folder, name in folders.items()
    }


@pytest.fixture
def used(backend: Backend, wire: Network, stack: Stack) -> dict[str, set[Permission]]:
    """Run every flow, and list what each function needed for it."""
    recorders = {
        folder: Recorder(getattr(backend, folder), wire, stack) for folder in granted(stack)
    }
    Flows(replace(backend, **cast("Any", recorders))).run()
    return {folder: recorder.permissions for folder, recorder in recorders.items()}


def test_no_function_lacks_a_permission(used: dict[str, set[Permission]], stack: Stack) -> None:
    roles = {function.code.name: stack.roles[name] for name, function in stack.functions.items()}
    missing = {
        (folder, permission)
        for folder, permissions in used.items()
        for permission in permissions
        if not roles[folder].allows(permission)
    }
    assert missing == set()


def test_no_function_has_an_unused_permission(
    used: dict[str, set[Permission]], stack: Stack
) -> None:
    """If this fails for one that is needed, `tests/support/flows.py` lacks a flow."""
    spare = {
        (folder, grant)
        for folder, grants in granted(stack).items()
        for grant in grants
        if not any(
            Statement(allows=True, actions=(grant.action,), resources=(grant.resource,)).applies_to(
                permission
            )
            for permission in used[folder]
        )
    }
    assert spare == set()


def test_every_permission_is_for_one_action_on_named_resources(stack: Stack) -> None:
    for grants in granted(stack).values():
        for action, resource in grants:
            assert "*" not in action
            # An object's key and a connection's id are not known before; all else is.
            assert "*" not in resource.removesuffix("/*")
