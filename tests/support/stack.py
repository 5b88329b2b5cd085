"""The template, resolved, and containers of its functions."""

from pathlib import Path

from local.template.loader import load
from local.template.model import Function, Stack
from tests.support.backend import ROOT, Container
from tests.support.management_api import ManagementApi

ENDPOINT = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"


def loaded(scratch: Path, **overrides: str) -> Stack:
    """Load the template with these parameters."""
    return load(
        ROOT / "template-python.yaml",
        overrides=overrides,
        region="us-east-1",
        api=None,
        scratch=scratch,
    )


def bucket_of(stack: Stack) -> str:
    (name,) = (each.name for each in stack.storage if each.kind == "AWS::S3::Bucket")
    return name


def containers(stack: Stack, api: ManagementApi) -> dict[str, Container]:
    """Make a cold container of each function."""
    made = {}
    for function in stack.functions.values():
        made[function.code.name] = container(function, stack, api)
    return made


def container(function: Function, stack: Stack, api: ManagementApi) -> Container:
    """Make a cold container of one function."""
    environment = environment_of(function, stack.region)
    if ENDPOINT in environment:
        environment[ENDPOINT] = api.url
    return Container(function.code.name, environment)


def environment_of(function: Function, region: str) -> dict[str, str]:
    """Give what the template sets for a function, and what Lambda sets for all."""
    return {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        **dict(function.environment),
    }
