"""Each function may do what it does, and nothing else: the template against the calls made."""

import fnmatch
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.signers import RequestSigner

from local.template.intrinsics import Resolver
from local.template.model import ACCOUNT_ID, Stack
from local.template.resources import Names
from local.template.transform import to_cloudformation
from tests.support.backend import ROOT, Backend, Container
from tests.support.flows import Flows
from tests.support.network import Network

type Right = tuple[str, str]
"""An action, and the ARN of what it is done to."""

# Where the right to call an operation is not called as the operation is:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
_NAMED_OTHERWISE = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:HeadObject": "s3:GetObject",
}


@dataclass
class Recorder:
    """What one function calls.

    Attributes:
        rights: Those that its calls need.
    """

    container: Container
    wire: Network
    stack: Stack
    rights: set[Right] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def __call__(self, event: object) -> dict[str, Any]:
        before = len(self.wire.requests)
        with self._signing():
            reply = self.container(event)
        for operation, request in self.wire.requests[before:]:
            self.rights |= set(_needed_for(operation, request, self.stack))
        return reply

    @contextmanager
    def _signing(self) -> Iterator[None]:
        """Notice what is signed: a presigned link needs its signer's rights when it is used."""
        real = RequestSigner.generate_presigned_url

        def sign(
            signer: Any, request_dict: dict[str, Any], operation_name: str, **more: Any
        ) -> Any:
            arn = _object_arn(request_dict["url"])
            self.rights.add((f"s3:{operation_name}", arn))
            # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
            if "x-amz-tagging" in {name.lower() for name in request_dict["headers"]}:
                self.rights.add((f"s3:{operation_name}Tagging", arn))
            return real(signer, request_dict, operation_name, **more)

        with patch.object(RequestSigner, "generate_presigned_url", sign):
            yield


def _needed_for(operation: str, request: AWSPreparedRequest, stack: Stack) -> Iterator[Right]:
    service, _, name = operation.partition(".")
    action = f"{service}:{name}"
    action = _NAMED_OTHERWISE.get(action, action)
    path = unquote(urlsplit(request.url).path)
    match service:
        case "dynamodb":
            yield from _dynamodb(name, json.loads(cast("bytes", request.body)), stack.region)
        case "lambda":
            function = path.split("/")[3]
            yield action, f"arn:aws:lambda:{stack.region}:{ACCOUNT_ID}:function:{function}"
        case "apigatewaymanagementapi":
            api = f"arn:aws:execute-api:{stack.region}:{ACCOUNT_ID}:{stack.api.id}"
            yield (
                "execute-api:ManageConnections",
                f"{api}{path.replace('/prod/', f'/prod/{request.method}/')}",
            )
        case "s3":
            yield action, _object_arn(request.url)
        case _:
            raise AssertionError(f"say which right {operation} needs")


def _dynamodb(operation: str, body: dict[str, Any], region: str) -> Iterator[Right]:
    if operation == "TransactWriteItems":
        # A transaction needs the rights of what is in it:
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
        for item in body["TransactItems"]:
            ((what, inner),) = item.items()
            yield from _dynamodb(f"{what}Item", inner, region)
        return
    if operation == "BatchGetItem":
        (body["TableName"],) = body["RequestItems"]
    table = f"arn:aws:dynamodb:{region}:{ACCOUNT_ID}:table/{body['TableName']}"
    index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
    yield f"dynamodb:{operation}", f"{table}{index}"


def _object_arn(url: str) -> str:
    parts = urlsplit(url)
    bucket = str(parts.hostname).partition(".")[0]
    return f"arn:aws:s3:::{bucket}{unquote(parts.path)}"


def granted(stack: Stack) -> dict[str, set[Right]]:
    """List what the template allows each function, by its folder, without log and traces."""
    document, values = to_cloudformation(ROOT / "template-python.yaml", {}, stack.region)
    resolver = Resolver(document, values, Names(stack.region))
    rights = {}
    for function in document["Resources"].values():
        if function["Type"] != "AWS::Lambda::Function":
            continue
        folder = function["Properties"]["Code"]["S3Key"].rstrip("/")
        role, _ = function["Properties"]["Role"]["Fn::GetAtt"]
        policies = resolver.resolve(document["Resources"][role]["Properties"]["Policies"])
        rights[folder] = {
            (action, resource)
            for policy in policies
            for statement in policy["PolicyDocument"]["Statement"]
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
            if not action.startswith(("logs:", "xray:"))
        }
    return rights


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture
def used(backend: Backend, wire: Network, stack: Stack) -> dict[str, set[Right]]:
    """Run every flow, and list what each function needed for it."""
    recorders = {
        folder: Recorder(getattr(backend, folder), wire, stack) for folder in granted(stack)
    }
    Flows(replace(backend, **cast("Any", recorders))).run()
    return {folder: recorder.rights for folder, recorder in recorders.items()}


def allows(grant: Right, right: Right) -> bool:
    return grant[0] == right[0] and fnmatch.fnmatchcase(right[1], grant[1])


def test_no_function_lacks_a_permission(used: dict[str, set[Right]], stack: Stack) -> None:
    grants = granted(stack)
    missing = {
        (folder, right)
        for folder, rights in used.items()
        for right in rights
        if not any(allows(grant, right) for grant in grants[folder])
    }
    assert missing == set()


def test_no_function_has_an_unused_permission(used: dict[str, set[Right]], stack: Stack) -> None:
    """If this fails for a right that is needed, `tests/support/flows.py` lacks a flow."""
    spare = {
        (folder, grant)
        for folder, grants in granted(stack).items()
        for grant in grants
        if not any(allows(grant, right) for right in used[folder])
    }
    assert spare == set()


def test_every_permission_is_for_one_action_on_named_resources(stack: Stack) -> None:
    for grants in granted(stack).values():
        for action, resource in grants:
            assert "*" not in action
            # An object's key and a connection's id are not known before; all else is.
            assert "*" not in resource.removesuffix("/*")
