"""Create what one call creates: parameters, secrets, and user pools with what belongs to them."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from botocore import xform_name
from botocore.exceptions import ClientError

from local.ids import user_pool_client_id, user_pool_id
from local.storage.coercion import coerced
from local.template.model import Storage


class _Creation(NamedTuple):
    """The call that creates a resource; `name` is its argument for the resource's name."""

    service: str
    operation: str
    name: str


# The properties of these resources have the names that the arguments of the call have.
_CREATIONS = {
    "AWS::Cognito::UserPool": _Creation("cognito-idp", "CreateUserPool", "PoolName"),
    "AWS::Cognito::UserPoolClient": _Creation("cognito-idp", "CreateUserPoolClient", "ClientName"),
    "AWS::Cognito::UserPoolDomain": _Creation("cognito-idp", "CreateUserPoolDomain", "Domain"),
    "AWS::Cognito::UserPoolGroup": _Creation("cognito-idp", "CreateGroup", "GroupName"),
    "AWS::Cognito::UserPoolUser": _Creation("cognito-idp", "AdminCreateUser", "Username"),
    "AWS::Cognito::UserPoolUserToGroupAttachment": _Creation(
        "cognito-idp", "AdminAddUserToGroup", "Username"
    ),
    "AWS::SecretsManager::Secret": _Creation("secretsmanager", "CreateSecret", "Name"),
    "AWS::SSM::Parameter": _Creation("ssm", "PutParameter", "Name"),
}
KINDS = frozenset(_CREATIONS)
WITH_IDS = frozenset(KINDS - {"AWS::SSM::Parameter"})
"""Kinds that have ids in place of names, or belong to what has: another endpoint chooses others."""
_ALREADY_EXISTS = {
    "GroupExistsException", "ParameterAlreadyExists", "ResourceExistsException",
    "UsernameExistsException",
}  # fmt: skip


def create_by_one_call(item: Storage, client_of: Callable[[str], Any]) -> None:
    """Create a resource, if it does not exist yet.

    Args:
        item: The resource.
        client_of: Returns the client of a service.

    """
    service, operation, name = _CREATIONS[item.kind]
    client = client_of(service)
    values = {**item.properties, name: item.name}
    if item.kind == "AWS::SSM::Parameter":
        values.pop("Tags", None)  # a mapping here, a list in the call
    generate = values.pop("GenerateSecretString", None)
    if generate is not None:
        values["SecretString"] = _generated(client, generate)
    model = client.meta.service_model.operation_model(operation)
    try:
        if not _exists(client, item):
            getattr(client, xform_name(operation))(**coerced(values, model.input_shape))
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ALREADY_EXISTS:
            raise


def _exists(client: Any, item: Storage) -> bool:
    """Return whether a user pool or a client exists: a second one may have the same name."""
    region = client.meta.region_name
    try:
        if item.kind == "AWS::Cognito::UserPool":
            client.describe_user_pool(UserPoolId=user_pool_id(region, item.name))
        elif item.kind == "AWS::Cognito::UserPoolClient":
            pool = item.properties["UserPoolId"]
            client_id = user_pool_client_id(pool, item.name)
            client.describe_user_pool_client(UserPoolId=pool, ClientId=client_id)
        else:
            return False
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


def _generated(client: Any, settings: Mapping[str, Any]) -> str:
    """Return a new secret.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-secretsmanager-secret-generatesecretstring.html
    """
    shape = client.meta.service_model.operation_model("GetRandomPassword").input_shape
    password: str = client.get_random_password(**coerced(settings, shape))["RandomPassword"]
    if "GenerateStringKey" not in settings:
        return password
    template = json.loads(settings.get("SecretStringTemplate", "{}"))
    return json.dumps({**template, settings["GenerateStringKey"]: password})
