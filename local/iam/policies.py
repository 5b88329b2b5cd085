"""Evaluate the policies of a role: actions and resources with wildcards.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

A condition is not evaluated: it counts as whatever lets the call through. So an Allow counts
without its condition, and a Deny with a condition does not count.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self


class Permission(NamedTuple):
    """An action, as in `s3:GetObject`, and the ARN of its resource; `*` if it has none."""

    action: str
    resource: str


class MalformedPolicyError(Exception):
    """A policy that IAM would not take, or that cannot be read here."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a policy. `excludes_…` is whether it has `NotAction` or `NotResource`."""

    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    excludes_actions: bool = False
    excludes_resources: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read a statement of a policy.

        Raises:
            MalformedPolicyError: If it lacks an effect, actions or resources.

        """
        if document.get("Effect") not in {"Allow", "Deny"}:
            raise MalformedPolicyError("a statement without Effect")
        actions, excludes_actions = _one_of(document, "Action")
        resources, excludes_resources = _one_of(document, "Resource")
        return cls(
            document["Effect"] == "Allow", actions, resources, excludes_actions, excludes_resources
        )

    def to_json(self) -> dict[str, Any]:
        """Return the statement as a policy has it."""
        return {
            "Effect": "Allow" if self.allows else "Deny",
            "NotAction" if self.excludes_actions else "Action": list(self.actions),
            "NotResource" if self.excludes_resources else "Resource": list(self.resources),
        }

    def applies_to(self, permission: Permission) -> bool:
        """Return whether the statement is about this action on this resource."""
        action = any(
            _pattern(action.lower()).fullmatch(permission.action.lower()) for action in self.actions
        )
        resource = any(
            _pattern(resource).fullmatch(permission.resource) for resource in self.resources
        )
        return action is not self.excludes_actions and resource is not self.excludes_resources


@dataclass(frozen=True, slots=True)
class Role:
    """A role: its name, and the statements of all its policies."""

    name: str
    statements: tuple[Statement, ...]

    def allows(self, permission: Permission) -> bool:
        """Return whether a statement allows it, and none denies it."""
        applying = [each for each in self.statements if each.applies_to(permission)]
        return bool(applying) and all(each.allows for each in applying)

    def denies(self, permission: Permission) -> bool:
        """Return whether a statement denies it explicitly."""
        return any(not each.allows and each.applies_to(permission) for each in self.statements)


def statements_of(policy: Any) -> list[Statement]:
    """Return the statements of a policy document that count here.

    Raises:
        MalformedPolicyError: If it is no policy document.

    """
    if not isinstance(policy, dict) or "Statement" not in policy:
        raise MalformedPolicyError("a policy without Statement")
    documents = _listed(policy["Statement"])
    if not all(isinstance(document, dict) for document in documents):
        raise MalformedPolicyError("a statement that is no mapping")
    return [
        Statement.from_json(document)
        for document in documents
        if document.get("Effect") != "Deny" or not document.get("Condition")
    ]


def has_condition(policy: Any) -> bool:
    """Return whether a statement of a policy document has a condition."""
    return any(document.get("Condition") for document in _listed(policy["Statement"]))


def _one_of(document: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], bool]:
    for key in (name, f"Not{name}"):
        values = _listed(document.get(key, []))
        if values and all(isinstance(value, str) for value in values):
            return tuple(values), key != name
    raise MalformedPolicyError(f"a statement without {name}")


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


@functools.lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    """Return a pattern of a policy, where `*` is any text and `?` any character.

    A policy variable, as in `${aws:username}`, counts as any text.
    """
    parts = re.split(r"(\$\{[^}]*\}|\*|\?)", text)
    expression = "".join(
        "." if part == "?" else ".*" if part == "*" or part.startswith("${") else re.escape(part)
        for part in parts
    )
    return re.compile(expression, re.DOTALL)
