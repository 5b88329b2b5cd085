"""Return what `Ref` and `Fn::GetAtt` give for a resource: names, ARNs and ids.

Where AWS chooses a random id, this uses a digest of the logical id, so that names are the same in
each run. Source of each: the "Return values" section of the resource's page under
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.errors import Unknown, Unresolvable
from local.template.model import ACCOUNT_ID, function_of_arn

STACK_NAME = "local"

type Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """Names of resources in one region."""

    region: str

    @property
    def pseudo_parameters(self) -> dict[str, Any]:
        """The values of `AWS::Region` and the other pseudo parameters."""
        # The stack's id ends in a UUID, and some templates use a part of it in names.
        stack_uuid = uuid.uuid5(uuid.NAMESPACE_URL, STACK_NAME)
        return {
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::NotificationARNs": [],
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::StackId": self.arn("cloudformation", f"stack/{STACK_NAME}/{stack_uuid}"),
            "AWS::StackName": STACK_NAME,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def ref(self, logical_id: str, kind: str, properties: Properties) -> str:
        """Return what `Ref` gives for a resource whose properties are resolved."""
        if kind == "AWS::SNS::Topic" or kind in _REF_IS_ARN:
            return self.attribute(logical_id, kind, properties, "Arn")
        if kind == "AWS::SQS::Queue":
            name = self._name(logical_id, kind, properties)
            return f"https://sqs.{self.region}.amazonaws.com/{ACCOUNT_ID}/{name}"
        return self._name(logical_id, kind, properties)

    def attribute(self, logical_id: str, kind: str, properties: Properties, name: str) -> str:
        """Return what `Fn::GetAtt` gives.

        Raises:
            Unknown: If the attribute is not known here.

        """
        own_name = self._name(logical_id, kind, properties)
        if name in {"Arn", "LayerVersionArn", "TopicArn"} and kind in _ARNS:
            return _ARNS[kind](self, own_name, _Named(logical_id, properties))
        others = {
            "AWS::ApiGatewayV2::Api.ApiEndpoint": (
                f"wss://{own_name}.execute-api.{self.region}.amazonaws.com"
            ),
            **dict.fromkeys(
                ("AWS::DynamoDB::Table.StreamArn", "AWS::DynamoDB::GlobalTable.StreamArn"),
                self.arn("dynamodb", f"table/{own_name}/stream/2012-08-10T00:00:00.000"),
            ),
            "AWS::S3::Bucket.DomainName": f"{own_name}.s3.amazonaws.com",
            "AWS::S3::Bucket.RegionalDomainName": f"{own_name}.s3.{self.region}.amazonaws.com",
            "AWS::SNS::Topic.TopicName": own_name,
            "AWS::SQS::Queue.QueueName": own_name,
            "AWS::SQS::Queue.QueueUrl": (
                f"https://sqs.{self.region}.amazonaws.com/{ACCOUNT_ID}/{own_name}"
            ),
        }
        if kind.startswith("AWS::ApiGatewayV2::") and name.endswith("Id"):
            return own_name  # ApiId, DeploymentId, RouteId and others
        if f"{kind}.{name}" in others:
            return others[f"{kind}.{name}"]
        raise Unknown(f"Fn::GetAtt {logical_id}.{name} ({kind}) is known only to AWS")

    def _name(self, logical_id: str, kind: str, properties: Properties) -> str:
        if kind == "AWS::ApiGatewayV2::Stage":
            return _Named(logical_id, properties).text("StageName")
        if kind.startswith("AWS::ApiGatewayV2::"):
            return _id(logical_id)
        if kind == "AWS::S3::Bucket":
            return str(properties.get("BucketName") or f"{STACK_NAME}-{logical_id}".lower())
        if kind == "AWS::Lambda::LayerVersion":
            return str(properties.get("LayerName") or logical_id)
        for key in _NAME_PROPERTIES:
            if properties.get(key):
                return str(properties[key])
        return f"{STACK_NAME}-{logical_id}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{ACCOUNT_ID}:{resource}"

    def function_arn(self, name: str) -> str:
        """Return the ARN of a function."""
        return self.arn("lambda", f"function:{name}")


# The properties that name a resource; each kind has one of them at most.
_NAME_PROPERTIES = (
    "FunctionName", "TableName", "RoleName", "LogGroupName", "QueueName", "TopicName",
)  # fmt: skip
_REF_IS_ARN = {"AWS::Lambda::LayerVersion", "AWS::Lambda::Alias", "AWS::Lambda::Version"}


@dataclass(frozen=True, slots=True)
class _Named:
    """The naming properties of a resource."""

    logical_id: str
    properties: Properties

    def text(self, name: str) -> str:
        if not self.properties.get(name):
            raise Unresolvable(f"{self.logical_id}: {name} is missing")
        return str(self.properties[name])

    def function_arn(self, names: Names) -> str:
        """Return the ARN of the function that an alias or a version belongs to."""
        name = self.text("FunctionName")
        return names.function_arn(function_of_arn(name) or name)


_ARNS: dict[str, Callable[[Names, str, _Named], str]] = {
    "AWS::DynamoDB::GlobalTable": lambda names, name, _: names.arn("dynamodb", f"table/{name}"),
    "AWS::DynamoDB::Table": lambda names, name, _: names.arn("dynamodb", f"table/{name}"),
    "AWS::IAM::Role": lambda _names, name, _: f"arn:aws:iam::{ACCOUNT_ID}:role/{name}",
    "AWS::Lambda::Function": lambda names, name, _: names.function_arn(name),
    "AWS::Lambda::LayerVersion": lambda names, name, _: names.arn("lambda", f"layer:{name}:1"),
    "AWS::Lambda::Alias": lambda names, _, own: f"{own.function_arn(names)}:{own.text('Name')}",
    "AWS::Lambda::Version": lambda names, _, own: f"{own.function_arn(names)}:1",
    "AWS::Logs::LogGroup": lambda names, name, _: names.arn("logs", f"log-group:{name}:*"),
    "AWS::S3::Bucket": lambda _names, name, _: f"arn:aws:s3:::{name}",
    "AWS::SNS::Topic": lambda names, name, _: names.arn("sns", name),
    "AWS::SQS::Queue": lambda names, name, _: names.arn("sqs", name),
}


def _id(logical_id: str) -> str:
    """Return an id like those of API Gateway: ten letters and digits."""
    digest = hashlib.sha256(logical_id.encode()).hexdigest()
    return f"a{digest[:9]}"
