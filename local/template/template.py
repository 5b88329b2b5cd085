"""A template that is being read: its resources, and the notices so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.errors import LocalError, Unknown, Unresolvable
from local.template.arguments import OnUnknown, ignore
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
    _unknown: set[str] = field(default_factory=set)

    def of_kind(self, kind: str, *, quiet: bool = False) -> dict[str, Properties]:
        """Return the properties of the resources of a kind, by logical id.

        A property that only AWS knows is missing, and a notice names it unless `quiet` is true.
        """
        report = ignore if quiet else self._note_unknown
        return {
            logical_id: self._properties(logical_id, resource.get("Properties") or {}, report)
            for logical_id, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def ref(self, logical_id: str) -> str:
        """Return what `Ref` gives for a resource.

        Raises:
            LocalError: If it cannot be known here.

        """
        value = self._resolve({"Ref": logical_id}, f"{self.path}: ", logical_id, self._note_unknown)
        return str(value)

    def name(self, logical_id: str) -> str:
        """Return the name of a resource.

        Raises:
            LocalError: If it cannot be known here.

        """
        try:
            return self.names.name(logical_id, *self.resolver.resource(logical_id))
        except Unresolvable as error:
            raise LocalError(f"{self.path}: {logical_id}: {error}") from error

    def _properties(
        self, logical_id: str, values: Mapping[str, Any], report: OnUnknown
    ) -> Properties:
        owner = f"{self.path}: {logical_id}"
        return Properties(
            owner,
            values,
            lambda value, name: self._resolve(
                value, f"{self.path}: ", f"{logical_id}: {name}", report
            ),
        )

    def _resolve(self, value: Json, prefix: str, where: str, report: OnUnknown) -> Json:
        try:
            resolved = self.resolver.resolve_known([value], where, report)
        except Unresolvable as error:
            raise LocalError(f"{prefix}{where}: {error}") from error
        return resolved[0] if resolved else None  # empty if it is AWS::NoValue, or unknown

    def _note_unknown(self, where: str, error: Unknown) -> None:
        # Some properties are read more than once.
        if where not in self._unknown:
            self._unknown.add(where)
            self.notices.append(f"{where}: {error}")
