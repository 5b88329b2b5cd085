"""Return the permissions of calls that name parameters, secrets or user pools.

Sources: the service authorization reference, and
https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-access.html
"""

from collections.abc import Callable, Iterator
from typing import Any

from local.iam.policies import Permission
from local.ids import secret_arn
from local.template.model import ACCOUNT_ID

_PARAMETERS = {
    "DeleteParameter", "DeleteParameters", "GetParameter", "GetParameterHistory", "GetParameters",
    "GetParametersByPath", "PutParameter",
}  # fmt: skip


def named_permissions(
    service: str, operation: str, fields: dict[str, Any], region: str
) -> Iterator[Permission]:
    """Yield the permissions for what a call names; none for a call that names nothing.

    Args:
        service: `cognito-idp`, `secretsmanager` or `ssm`.
        operation: The name of the operation.
        fields: Its input.
        region: The region of the call.

    """
    for resource in _RESOURCES[service](operation, fields, region):
        yield Permission(f"{service}:{operation}", resource)


def _parameters(operation: str, fields: dict[str, Any], region: str) -> Iterator[str]:
    if operation not in _PARAMETERS:
        return
    for name in fields.get("Names") or [fields.get("Name") or fields.get("Path") or ""]:
        # A version or a label may follow the name:
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-labels.html
        plain = name.partition(":")[0].removeprefix("/")
        is_arn = name.startswith("arn:")
        yield name if is_arn else f"arn:aws:ssm:{region}:{ACCOUNT_ID}:parameter/{plain}"


def _secrets(_operation: str, fields: dict[str, Any], region: str) -> Iterator[str]:
    secret = fields.get("SecretId") or fields.get("Name")
    if secret is not None:
        yield secret if secret.startswith("arn:") else secret_arn(region, ACCOUNT_ID, secret)


def _user_pools(operation: str, fields: dict[str, Any], region: str) -> Iterator[str]:
    if pool := fields.get("UserPoolId"):
        yield f"arn:aws:cognito-idp:{region}:{ACCOUNT_ID}:userpool/{pool}"
    elif operation in {"CreateUserPool", "ListUserPools"}:
        yield "*"


_RESOURCES: dict[str, Callable[[str, dict[str, Any], str], Iterator[str]]] = {
    "cognito-idp": _user_pools,
    "secretsmanager": _secrets,
    "ssm": _parameters,
}
