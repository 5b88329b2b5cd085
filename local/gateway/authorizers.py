"""Lambda authorizers: they decide whether a client may open a connection.

Rules: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
"""

import fnmatch
from typing import Any

from local.gateway.events import Handshake
from local.invocation_result import InvocationResult
from local.template.model import Authorizer

type Denial = tuple[int, str]
"""The status to refuse the handshake with, and the reason."""


def missing_identity(authorizer: Authorizer, handshake: Handshake) -> Denial | None:
    """Return the denial if an identity source is missing or empty: AWS refuses with 401."""
    for source in authorizer.identity_sources:
        where, _, name = source.removeprefix("route.request.").partition(".")
        is_missing = (where == "header" and not handshake.header(name)) or (
            where == "querystring" and not any(handshake.query.get(name, []))
        )
        if is_missing:
            return 401, f"the authorizer's identity source {source} is missing"
    return None


def decide(result: InvocationResult, method_arn: str) -> Denial | dict[str, Any]:
    """Return the denial, or the context that later events carry.

    The status is 401 if the function raised "Unauthorized", 403 if the policy denies or does not
    allow (serverless-offline's tests, which run against AWS too), and 500 for any other error and
    for a malformed policy (serverless/examples#557).
    """
    if result.is_error:
        message = result.payload.get("errorMessage") if isinstance(result.payload, dict) else ""
        if message == "Unauthorized":
            return 401, 'the authorizer raised "Unauthorized"'
        return 500, f"the authorizer failed: {result.error}"
    try:
        principal = result.payload["principalId"]
        statements = result.payload["policyDocument"]["Statement"]
        effects = [
            statement["Effect"]
            for statement in (statements if isinstance(statements, list) else [statements])
            if _covers(statement, method_arn)
        ]
        context = dict(result.payload.get("context") or {})
    except (KeyError, TypeError, ValueError):
        return 500, "the authorizer returned no valid policy"
    if "Deny" in effects or "Allow" not in effects:
        return 403, "the authorizer's policy denies it, or does not allow it"
    # The mapping reference says that values become text. Whether the Lambda event keeps numbers is
    # not known; here it has text: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
    return {"principalId": str(principal), **{key: _text(value) for key, value in context.items()}}


def _covers(statement: dict[str, Any], method_arn: str) -> bool:
    resources = statement["Resource"]
    patterns = resources if isinstance(resources, list) else [resources]
    return any(fnmatch.fnmatchcase(method_arn, pattern) for pattern in patterns)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
