"""Write a refusal as each service does."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from local.iam.access import Refusal

_REQUEST_ID = "00000000-0000-4000-8000-000000000000"
_JSON = "application/x-amz-json-1.0"


@dataclass(frozen=True, slots=True)
class RefusedResponse:
    """The response to a call that is refused."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def refused(service: str, refusal: Refusal) -> RefusedResponse:
    """Return the response of a service, named as in the credential scope."""
    return _RESPONSES[service](refusal)


def _dynamodb(refusal: Refusal) -> RefusedResponse:
    # aws-sdk-android#784, ionic-team/starters#46.
    kind = "com.amazon.coral.service#AccessDeniedException"
    body = {"__type": kind, "Message": refusal.message(*refusal.permission)}
    return RefusedResponse(400, json.dumps(body).encode(), {"Content-Type": _JSON})


def _s3(refusal: Refusal) -> RefusedResponse:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html
    action, resource = refusal.permission
    message = escape(refusal.message(action, f'"{resource}"'))
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>AccessDenied</Code><Message>{message}</Message>"
        f"<RequestId>{_REQUEST_ID}</RequestId><HostId>local</HostId></Error>"
    )
    return RefusedResponse(403, body.encode(), {"Content-Type": "application/xml"})


def _sqs(refusal: Refusal) -> RefusedResponse:
    # serverless-application-model#3633.
    action, resource = refusal.permission
    kind = "com.amazon.coral.service#AccessDeniedException"
    body = {"__type": kind, "message": refusal.message(action.lower(), resource)}
    headers = {"Content-Type": _JSON, "x-amzn-query-error": "AccessDenied;Sender"}
    return RefusedResponse(403, json.dumps(body).encode(), headers)


def _sns(refusal: Refusal) -> RefusedResponse:
    # aws-service-catalog-puppet#19, terraform-aws-control_tower_account_factory#151.
    action, resource = refusal.permission
    message = escape(refusal.message(action.replace("sns:", "SNS:"), resource))
    body = (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error>'
        f"<Type>Sender</Type><Code>AuthorizationError</Code><Message>{message}</Message></Error>"
        f"<RequestId>{_REQUEST_ID}</RequestId></ErrorResponse>"
    )
    return RefusedResponse(403, body.encode(), {"Content-Type": "text/xml"})


def _json_1_1(refusal: Refusal) -> RefusedResponse:
    # terraform-aws-github-runner#1279, awscdk-resources-mongodbatlas#207,
    # aws-ai-intelligent-document-processing#12.
    body = {"__type": "AccessDeniedException", "Message": refusal.message(*refusal.permission)}
    return RefusedResponse(
        400, json.dumps(body).encode(), {"Content-Type": "application/x-amz-json-1.1"}
    )


def _rest_json(refusal: Refusal) -> RefusedResponse:
    body = {"Message": refusal.message(*refusal.permission)}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": "AccessDeniedException"}
    return RefusedResponse(403, json.dumps(body).encode(), headers)


_RESPONSES: dict[str, Callable[[Refusal], RefusedResponse]] = {
    "cognito-idp": _json_1_1,
    "dynamodb": _dynamodb,
    "execute-api": _rest_json,
    "lambda": _rest_json,
    "s3": _s3,
    "secretsmanager": _json_1_1,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _json_1_1,
}
