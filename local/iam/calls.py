"""Return the permissions that a call of AWS needs.

Calls of DynamoDB, S3, SQS, SNS, Lambda's Invoke and `@connections`, and those of parameters,
secrets and user pools, are known here. A call of another service, or one whose permissions depend
on more than the request, needs none.

Source: the service authorization reference,
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from local.iam.call import Call
from local.iam.named_calls import named_permissions
from local.iam.policies import Permission
from local.iam.s3_calls import s3_permissions
from local.template.model import ACCOUNT_ID, Api

# The permissions of a transaction are those of what is in it:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
_IN_TRANSACTIONS = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}
# PartiQL names its tables in the text of its statements.
_NOT_CHECKED = {"BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction"}


def permissions_for(call: Call) -> list[Permission]:
    """Return the permissions that a call needs, all of them."""
    match call.service:
        case "dynamodb" if call.headers.get("x-amz-target", "").startswith("DynamoDB_"):
            return list(_dynamodb(call.operation, _json(call.body), call.region))
        case "s3" if call.method != "OPTIONS":  # browsers ask without credentials
            return s3_permissions(call)
        case "sqs" | "sns" as service:
            return list(_sqs(call) if service == "sqs" else _sns(call))
        case "cognito-idp" | "secretsmanager" | "ssm" as service:
            return list(named_permissions(service, call.operation, _json(call.body), call.region))
        case "lambda" if call.path.endswith("/invocations") and call.path.count("/") > 3:
            return [invocation(call.region, call.path.split("/")[3])]
    return []


def invocation(region: str, function: str) -> Permission:
    """Return the permission to invoke a function, named by its name or ARN."""
    arn = (
        function if function.startswith("arn:") else _arn("lambda", region, f"function:{function}")
    )
    return Permission("lambda:InvokeFunction", arn)


def connection_call(api: Api, method: str) -> Permission:
    """Return the permission for a call of `@connections`.

    The end of its ARN is `{connectionId}` as it stands here, for each connection (aws-cdk#18410).
    """
    return Permission(
        "execute-api:ManageConnections", api.route_arn(f"{method}/@connections/{{connectionId}}")
    )


def _arn(service: str, region: str, resource: str) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT_ID}:{resource}"


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _dynamodb(operation: str, body: dict[str, Any], region: str) -> Iterator[Permission]:
    if operation in _NOT_CHECKED:
        return
    if operation in {"TransactGetItems", "TransactWriteItems"}:
        for item in body.get("TransactItems", []):
            for kind, inner in item.items():
                yield from _dynamodb(_IN_TRANSACTIONS.get(kind, kind), inner, region)
        return
    action = f"dynamodb:{operation}"
    if operation in {"BatchGetItem", "BatchWriteItem"}:
        for table in body.get("RequestItems", {}):
            yield Permission(action, _table(table, region))
        return
    if "TableName" not in body:
        yield Permission(action, body.get("ResourceArn", "*"))
        return
    index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
    yield Permission(action, f"{_table(body['TableName'], region)}{index}")


def _table(name: str, region: str) -> str:
    return name if name.startswith("arn:") else _arn("dynamodb", region, f"table/{name}")


def _fields(call: Call) -> dict[str, Any]:
    """Return the input of an operation in JSON, or in the older form of a query."""
    if call.operation:
        return {"Action": call.operation, **_json(call.body)}
    return dict(parse_qsl(call.body.decode(errors="replace")))


def _sqs(call: Call) -> Iterator[Permission]:
    fields = _fields(call)
    if action := fields.get("Action", ""):
        # The permission for a batch is that for one:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
        url = fields.get("QueueUrl") or fields.get("QueueName")
        queue = _arn("sqs", call.region, url.rpartition("/")[2]) if url else "*"
        yield Permission(f"sqs:{action.removesuffix('Batch')}", queue)


def _sns(call: Call) -> Iterator[Permission]:
    fields = _fields(call)
    if action := fields.get("Action", ""):
        topic = fields.get("TopicArn") or fields.get("TargetArn") or fields.get("ResourceArn")
        if topic is None and "SubscriptionArn" in fields:
            topic = fields["SubscriptionArn"].rpartition(":")[0]
        if topic is None and "Name" in fields:
            topic = _arn("sns", call.region, fields["Name"])
        yield Permission(f"sns:{action.removesuffix('Batch')}", topic or "*")
