"""Read what each function's role allows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from local.errors import LocalError, Unknown
from local.iam.policies import (
    MalformedPolicyError,
    Role,
    Statement,
    has_condition,
    statements_of,
)
from local.patches.managed_policies import managed_policy
from local.template.intrinsics import Resolver
from local.template.model import Function
from local.template.properties import Json
from local.template.resources import Names

# These allow nothing that is checked here: logs, traces and network interfaces. SAM's transform
# gives the first to most roles, and moto's list of managed policies takes a second to read.
_WITHOUT_EFFECT = {
    "AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole", "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess", "CloudWatchLambdaInsightsExecutionRolePolicy",
}  # fmt: skip

# What is known only to AWS, in a resolved value.
_UNKNOWN = "\0"


@dataclass(frozen=True, slots=True)
class FoundRoles:
    """The roles that can be read, by their functions, and a line about each that cannot."""

    roles: Mapping[str, Role]
    notices: tuple[str, ...]


class _Unreadable(Exception):
    """A role that is not known here, or not all of it."""


class _TolerantResolver(Resolver):
    """A resolver that puts a mark where a value is known only to AWS."""

    def _call(self, name: str, argument: Json) -> Json:
        try:
            return super()._call(name, argument)
        except Unknown:
            return _UNKNOWN


class RoleReader:
    """Reads the roles of a template.

    Args:
        document: The template, after SAM's transform.
        values: The text of each parameter.
        names: The names that resources get.
        resources: The resources that exist.

    """

    def __init__(
        self,
        document: Mapping[str, Json],
        values: Mapping[str, str],
        names: Names,
        resources: Mapping[str, Mapping[str, Json]],
    ) -> None:
        self._resolver = _TolerantResolver(document, values, names)
        self._resources = resources
        self._notices: list[str] = []

    def read(self, functions: Mapping[str, Function]) -> FoundRoles:
        """Return the roles of functions, by the functions' names."""
        roles = {}
        for logical_id, resource in self._of_kind("AWS::Lambda::Function"):
            name = self._ref(logical_id)
            if name not in functions:
                continue
            try:
                roles[name] = self._role_of(resource)
            except (_Unreadable, MalformedPolicyError, LocalError) as error:
                self._notices.append(f"{logical_id}: {error}: its calls are not checked")
        return FoundRoles(roles, tuple(dict.fromkeys(self._notices)))

    def _of_kind(self, *kinds: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
        for logical_id, resource in self._resources.items():
            if resource["Type"] in kinds:
                yield logical_id, resource.get("Properties") or {}

    def _ref(self, logical_id: str) -> str:
        return str(self._resolver.resolve({"Ref": logical_id}))

    def _role_of(self, function: Mapping[str, Json]) -> Role:
        arn = self._resolver.resolve(function.get("Role"))
        for logical_id, role in self._of_kind("AWS::IAM::Role"):
            if arn == self._resolver.resolve({"Fn::GetAtt": [logical_id, "Arn"]}):
                return self._read(logical_id, role)
        if isinstance(arn, str) and _UNKNOWN not in arn:
            raise _Unreadable(f"the role {arn} is not in this template")
        raise _Unreadable("the role is not in this template")

    def _read(self, logical_id: str, role: Mapping[str, Json]) -> Role:
        name = self._ref(logical_id)
        policies = [
            each.get("PolicyDocument") if isinstance(each, dict) else each
            for each in self._listed(role.get("Policies"))
        ]
        for arn in self._listed(role.get("ManagedPolicyArns")):
            policies += self._managed(str(arn))
        for _, policy in self._of_kind("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            if name in self._listed(policy.get("Roles")):
                policies.append(self._resolver.resolve(policy.get("PolicyDocument")))
        for _, policy in self._of_kind("AWS::IAM::RolePolicy"):
            if name == self._resolver.resolve(policy.get("RoleName")):
                policies.append(self._resolver.resolve(policy.get("PolicyDocument")))
        statements = [each for document in policies for each in self._known(logical_id, document)]
        if role.get("PermissionsBoundary"):
            self._notices.append(f"{logical_id}: its permissions boundary has no effect")
        return Role(name, tuple(statements))

    def _listed(self, value: Json) -> list[Json]:
        resolved = self._resolver.resolve(value)
        if resolved is None:
            return []
        return resolved if isinstance(resolved, list) else [resolved]

    def _managed(self, arn: str) -> list[Json]:
        """Return the document of a managed policy: the template's, or AWS's."""
        for logical_id, policy in self._of_kind("AWS::IAM::ManagedPolicy"):
            if arn == self._ref(logical_id):
                return [self._resolver.resolve(policy.get("PolicyDocument"))]
        name = arn.rpartition("/")[2]
        if name in _WITHOUT_EFFECT:
            return []
        # SAM's transform leaves the names of AWS's policies as they are.
        is_of_aws = ":iam::aws:policy/" in arn or ":" not in arn
        document = managed_policy(name) if is_of_aws else None
        if document is None:
            what = "a managed policy" if _UNKNOWN in arn else f"the managed policy {arn}"
            raise _Unreadable(f"{what} is not known here")
        return [document]

    def _known(self, logical_id: str, policy: Json) -> Iterator[Statement]:
        """Yield the statements of a policy; parts that only AWS knows count as any text.

        A Deny of something that only AWS knows does not count.
        """
        statements = statements_of(policy)
        if has_condition(policy):
            self._notices.append(f"{logical_id}: conditions of its policies have no effect")
        for statement in statements:
            if any(_UNKNOWN in action for action in statement.actions):
                raise _Unreadable("a policy is not known here")
            if not any(_UNKNOWN in resource for resource in statement.resources):
                yield statement
            elif statement.allows and not statement.excludes_resources:
                resources = [each.replace(_UNKNOWN, "*") for each in statement.resources]
                self._notices.append(
                    f"{logical_id}: a policy names what only AWS knows: it counts as any resource"
                )
                yield Statement(
                    True, statement.actions, tuple(resources), statement.excludes_actions
                )
