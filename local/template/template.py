"""A template that is being read: its resources, and the notices so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.errors import LocalError, Unresolvable
from local.template.intrinsics import Resolver
from local.template.properties import Json, Properties
from local.template.resources import Names


@dataclass(slots=True)
class Template:
    """A template that is being read: its resources, and the notices so far."""

    path: Path
    resolver: Resolver
    names: Names
    resources: Mapping[str, Mapping[str, Any]]
    notices: list[str] = field(default_factory=list)

    def of_kind(self, kind: str) -> dict[str, Properties]:
        """Return the properties of the resources of a kind, by logical id."""
        return {
            logical_id: self._properties(logical_id, resource.get("Properties") or {})
            for logical_id, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def ref(self, logical_id: str) -> str:
        """Return what `Ref` gives for a resource.

        Raises:
            LocalError: If it cannot be known here.

        """
        return str(self._resolve({"Ref": logical_id}, f"{self.path}: {logical_id}"))

    def _properties(self, logical_id: str, values: Mapping[str, Any]) -> Properties:
        owner = f"{self.path}: {logical_id}"
        return Properties(
            owner, values, lambda value, name: self._resolve(value, f"{owner}: {name}")
        )

    def _resolve(self, value: Json, where: str) -> Json:
        try:
            resolved = self.resolver.resolve([value])
        except Unresolvable as error:
            raise LocalError(f"{where}: {error}") from error
        return resolved[0] if resolved else None  # empty if it is AWS::NoValue
