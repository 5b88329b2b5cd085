"""Name what a template has and the local runner does not imitate, a line for each."""

from collections.abc import Iterator, Mapping
from typing import Any

from local.template.properties import Json
from local.template.resources import NAME_PROPERTIES

# Resources of these kinds are not created, and nothing that runs here needs them.
_WITHOUT_EFFECT = (
    "AWS::ApiGatewayV2::", "AWS::CertificateManager::", "AWS::CloudWatch::", "AWS::IAM::",
    "AWS::Lambda::", "AWS::Logs::", "AWS::Route53::", "AWS::S3::BucketPolicy",
    "AWS::Serverless::Function", "AWS::Serverless::LayerVersion", "AWS::Serverless::WebSocketApi",
    "AWS::WAFv2::",
)  # fmt: skip
_RUNNING = {
    *NAME_PROPERTIES,
    "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy",
    "AWS::Serverless::SimpleTable",
    # `nested` names those that it does not follow.
    "AWS::CloudFormation::Stack", "AWS::Serverless::Application",
}  # fmt: skip
_HTTP = {"Api", "HttpApi"}
# The transform makes resources of these, which `event_sources` reads.
_READ_LATER = {
    "DocumentDB", "DynamoDB", "Kinesis", "MQ", "MSK", "SNS", "SQS", "SelfManagedKafka",
}  # fmt: skip


def not_imitated(
    written: Mapping[str, Mapping[str, Any]], resources: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Yield a line for each resource and event that has no effect here.

    Args:
        written: The resources as they are written: those that SAM's transform makes are not named.
        resources: The resources after the transform that exist.

    """
    for logical_id, resource in written.items():
        if logical_id not in resources:
            continue
        kind, properties = resource["Type"], resource.get("Properties") or {}
        if kind == "AWS::ApiGatewayV2::Api" and properties.get("ProtocolType") == "HTTP":
            yield f"{logical_id}: an HTTP API does not run here"
        elif kind not in _RUNNING and not kind.startswith(_WITHOUT_EFFECT):
            yield f"{logical_id} ({kind}) does not exist here"
        if kind == "AWS::S3::Bucket" and "LifecycleConfiguration" in properties:
            yield f"{logical_id}: its lifecycle rules do not run here, so no file is deleted"
        if kind == "AWS::Cognito::UserPool" and "LambdaConfig" in properties:
            yield f"{logical_id}: its triggers do not run here"
        if kind == "AWS::Serverless::Function":
            yield from _invocations(logical_id, properties)
        elif kind == "AWS::Lambda::Url":
            yield f"{logical_id}: a function URL does not exist here"


def _invocations(logical_id: str, properties: Mapping[str, Json]) -> Iterator[str]:
    """Yield a line for each way to invoke a function that does not exist here."""
    events = properties.get("Events")
    events = events if isinstance(events, dict) else {}
    kinds = {
        name: each.get("Type") if isinstance(each, dict) else None for name, each in events.items()
    }
    if _HTTP & set(kinds.values()):
        yield f"{logical_id}: HTTP requests do not reach it here"
    for name, kind in kinds.items():
        if kind not in _READ_LATER | _HTTP:
            yield f"{logical_id}: event {name} ({kind}) does not invoke it here"
    if "FunctionUrlConfig" in properties:
        yield f"{logical_id}: its function URL does not exist here"
