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

from local import ids
from local.errors import Unknown, Unresolvable
from local.template.model import ACCOUNT_ID, DYNAMIC_REFERENCE, function_of_arn

STACK_NAME = "local"

NAME_PROPERTIES = {
    "AWS::Cognito::UserPool": "UserPoolName",
    "AWS::Cognito::UserPoolClient": "ClientName",
    "AWS::Cognito::UserPoolDomain": "Domain",
    "AWS::Cognito::UserPoolGroup": "GroupName",
    "AWS::Cognito::UserPoolUser": "Username",
    "AWS::Cognito::UserPoolUserToGroupAttachment": "Username",
    "AWS::DynamoDB::GlobalTable": "TableName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::SecretsManager::Secret": "Name",
}
"""The resources that are created here, and the property that names each."""

_OTHERS_THAT_IDENTIFY = {
    "AWS::Cognito::UserPoolClient": {"UserPoolId"},
    "AWS::Cognito::UserPoolDomain": {"Domain"},
    "AWS::Cognito::UserPoolUser": {"Username"},
    "AWS::Cognito::UserPoolUserToGroupAttachment": {"Username"},
    "AWS::SSM::Parameter": {"Type", "Value"},
}

type Properties = Mapping[str, Any]


def identifying(kind: str, properties: Properties) -> dict[str, Any]:
    """Return the properties that `Ref` and `Fn::GetAtt` need: those with names, and few others."""
    others: set[str] = _OTHERS_THAT_IDENTIFY.get(kind, set())
    return {
        key: value for key, value in properties.items() if key.endswith("Name") or key in others
    }


def without_later_names(properties: Properties) -> dict[str, Any]:
    """Return properties without the names that are known after parameters and secrets exist."""
    return {
        key: value
        for key, value in properties.items()
        if not (key.endswith("Name") and DYNAMIC_REFERENCE.search(str(value)))
    }


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
        name = self.name(logical_id, kind, properties)
        match kind:
            case "AWS::SQS::Queue":
                return f"https://sqs.{self.region}.amazonaws.com/{ACCOUNT_ID}/{name}"
            case "AWS::Cognito::UserPool":
                return ids.user_pool_id(self.region, name)
            case "AWS::Cognito::UserPoolClient":
                pool = _Named(logical_id, properties).text("UserPoolId")
                return ids.user_pool_client_id(pool, name)
        if kind in _REF_IS_ARN:
            return self.attribute(logical_id, kind, properties, "Arn")
        return name

    def attribute(self, logical_id: str, kind: str, properties: Properties, name: str) -> str:
        """Return what `Fn::GetAtt` gives.

        Raises:
            Unknown: If the attribute is not known here.

        """
        own_name = self.name(logical_id, kind, properties)
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
            **self._provider(kind, own_name),
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
        if f"{kind}.{name}" in _ATTRIBUTES_LIKE_REF:
            return self.ref(logical_id, kind, properties)
        if kind == "AWS::SSM::Parameter" and name in {"Type", "Value"} & properties.keys():
            return str(properties[name])
        raise Unknown(f"Fn::GetAtt {logical_id}.{name} ({kind}) is known only to AWS")

    def _provider(self, kind: str, name: str) -> dict[str, str]:
        """Return how a user pool is named as the issuer of tokens."""
        issuer = f"cognito-idp.{self.region}.amazonaws.com/{ids.user_pool_id(self.region, name)}"
        return {f"{kind}.ProviderName": issuer, f"{kind}.ProviderURL": f"https://{issuer}"}

    def name(self, logical_id: str, kind: str, properties: Properties) -> str:
        """Return the name of a resource, or what stands for it."""
        if kind == "AWS::ApiGatewayV2::Stage":
            return _Named(logical_id, properties).text("StageName")
        if kind.startswith("AWS::ApiGatewayV2::"):
            return _id(logical_id)
        if kind in NAME_PROPERTIES and properties.get(NAME_PROPERTIES[kind]):
            return str(properties[NAME_PROPERTIES[kind]])
        if kind == "AWS::Lambda::LayerVersion":
            return str(properties.get("LayerName") or logical_id)
        for key in ("FunctionName", "LogGroupName", "RoleName"):  # each has one of them at most
            if properties.get(key):
                return str(properties[key])
        generated = f"{STACK_NAME}-{logical_id}"
        return generated.lower() if kind == "AWS::S3::Bucket" else generated

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{ACCOUNT_ID}:{resource}"

    def function_arn(self, name: str) -> str:
        """Return the ARN of a function."""
        return self.arn("lambda", f"function:{name}")


_REF_IS_ARN = {
    "AWS::Lambda::Alias", "AWS::Lambda::LayerVersion", "AWS::Lambda::Version", "AWS::SNS::Topic",
    "AWS::SecretsManager::Secret",
}  # fmt: skip
_ATTRIBUTES_LIKE_REF = {
    "AWS::Cognito::UserPool.UserPoolId", "AWS::Cognito::UserPoolClient.ClientId",
    "AWS::SecretsManager::Secret.Id",
}  # fmt: skip


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
    "AWS::Cognito::UserPool": lambda names, name, _: names.arn(
        "cognito-idp", f"userpool/{ids.user_pool_id(names.region, name)}"
    ),
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
    "AWS::SecretsManager::Secret": lambda names, name, _: ids.secret_arn(
        names.region, ACCOUNT_ID, name
    ),
}


def _id(logical_id: str) -> str:
    """Return an id like those of API Gateway: ten letters and digits."""
    digest = hashlib.sha256(logical_id.encode()).hexdigest()
    return f"a{digest[:9]}"
