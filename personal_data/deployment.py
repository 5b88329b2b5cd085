"""The tables, the bucket and the API of a deployment, and the clients for them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from personal_data.errors import PersonalDataError

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

DEFAULT_STACK = "serverless-chat-backend"

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 10})
_SCHEMES = {"wss": "https", "ws": "http"}


@dataclass(frozen=True, slots=True)
class Names:
    """What the resources of a deployment are called.

    Attributes:
        websocket_url: Where clients connect, stage included.
    """

    messages_table: str
    connections_table: str
    bucket: str
    websocket_url: str

    @property
    def management_url(self) -> str:
        """Where connections are closed: the same host and stage, by HTTP.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
        """
        parts = urlsplit(self.websocket_url)
        return parts._replace(scheme=_SCHEMES.get(parts.scheme, parts.scheme)).geturl()


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment: its names, and clients with the operator's own credentials."""

    names: Names
    dynamodb: "DynamoDBClient"
    s3: "S3Client"
    management_api: "ApiGatewayManagementApiClient"


def open_deployment(stack: str, given: dict[str, str | None], endpoint: str | None) -> Deployment:
    """Find a deployment.

    Args:
        stack: The name of its CloudFormation stack; asked for the names that are not given.
        given: Fields of `Names` and their values, none where the stack says it.
        endpoint: Where an emulator of AWS listens; none for AWS.

    Raises:
        PersonalDataError: The stack has no such resources: it is not a deployment of this project.
    """
    known = {field: value for field, value in given.items() if value is not None}
    if len(known) < len(given):
        client = boto3.client("cloudformation", endpoint_url=endpoint, config=_CONFIG)
        known = _names_in(client, stack) | known
    names = Names(**known)
    return Deployment(
        names,
        boto3.client("dynamodb", endpoint_url=endpoint, config=_CONFIG),
        boto3.client("s3", endpoint_url=endpoint, config=_CONFIG),
        boto3.client("apigatewaymanagementapi", endpoint_url=names.management_url, config=_CONFIG),
    )


def _names_in(client: "CloudFormationClient", stack: str) -> dict[str, str]:
    """Read the names of a stack's resources: their logical ids are those of the template."""
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
    found = {
        each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
        for page in pages
        for each in page["StackResourceSummaries"]
    }
    outputs = {
        each["OutputKey"]: each["OutputValue"]
        for each in client.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    }
    try:
        return {
            "messages_table": found["MessagesTable"],
            "connections_table": found["ConnectionsTable"],
            "bucket": found["FilesBucket"],
            "websocket_url": outputs["WebSocketURI"],
        }
    except KeyError as missing:
        raise PersonalDataError(f"The stack {stack} has no {missing}.") from missing
