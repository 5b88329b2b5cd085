"""CloudFormation's intrinsic functions, evaluated here.

Rules: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from local.errors import Unresolvable
from local.template import parameters
from local.template.resources import Names

# Stands for a property or list element that `!Ref AWS::NoValue` takes away.
_NO_VALUE = object()

type Json = Any


class Resolver:
    """Replace references, functions and conditions of one template by their values.

    Args:
        document: The template, after SAM's transform.
        values: The text of each parameter.
        names: The names that resources get.

    """

    def __init__(
        self, document: Mapping[str, Json], values: Mapping[str, str], names: Names
    ) -> None:
        self._declared = document.get("Parameters") or {}
        self._conditions = document.get("Conditions") or {}
        self._mappings = document.get("Mappings") or {}
        self._all_resources: Mapping[str, Json] = document.get("Resources") or {}
        self._values = values
        self._names = names
        self._pseudo = {**names.pseudo_parameters, "AWS::NoValue": _NO_VALUE}
        self._functions: dict[str, Callable[[Json], Json]] = {
            "Ref": self._ref,
            "Condition": self.condition,
            "Fn::And": lambda terms: all(self.resolve(term) for term in terms),
            "Fn::Base64": lambda text: base64.b64encode(self.resolve(text).encode()).decode(),
            "Fn::Equals": lambda pair: self.resolve(pair[0]) == self.resolve(pair[1]),
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAZs": lambda _: [f"{names.region}{zone}" for zone in "abc"],
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Join": lambda args: str(args[0]).join(map(_text, self.resolve(args[1]))),
            "Fn::Not": lambda terms: not self.resolve(terms[0]),
            "Fn::Or": lambda terms: any(self.resolve(term) for term in terms),
            "Fn::Select": lambda args: self.resolve(args[1])[int(self.resolve(args[0]))],
            "Fn::Split": lambda args: self.resolve(args[1]).split(args[0]),
            "Fn::Sub": self._sub,
        }

    def resources(self) -> dict[str, Mapping[str, Json]]:
        """Return the resources that exist: those whose condition holds, unresolved."""
        return {
            logical_id: resource
            for logical_id, resource in self._all_resources.items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def resolve(self, value: Json) -> Json:
        """Return the value with all that can be evaluated in it evaluated.

        Raises:
            Unresolvable: If something in it cannot be known here.

        """
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in self._functions and not (name == "Condition" and isinstance(argument, dict)):
                return self._call(name, argument)
            if name.startswith("Fn::"):
                raise Unresolvable(f"{name} is not imitated")
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def condition(self, name: str) -> bool:
        """Tell whether a condition of the template holds."""
        if name not in self._conditions:
            raise Unresolvable(f"there is no condition {name} in the template")
        return bool(self.resolve(self._conditions[name]))

    def _call(self, name: str, argument: Json) -> Json:
        try:
            return self._functions[name](argument)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise Unresolvable(f"{name} cannot take {argument!r}") from error

    def _ref(self, name: str) -> Json:
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._values:
            text = self._values[name]
            is_list = parameters.is_list(self._declared[name])
            return [item.strip() for item in text.split(",")] if is_list else text
        kind, properties = self._resource(name)
        return self._names.ref(name, kind, properties)

    def _get_att(self, argument: str | list[str]) -> Json:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        logical_id, attribute = parts[0], str(self.resolve(parts[1]))
        kind, properties = self._resource(logical_id)
        return self._names.attribute(logical_id, kind, properties, attribute)

    def _resource(self, logical_id: str) -> tuple[str, Mapping[str, Json]]:
        resource = self._all_resources.get(logical_id)
        if resource is None:
            raise Unresolvable(f"there is no resource or parameter {logical_id} in the template")
        if "Condition" in resource and not self.condition(resource["Condition"]):
            raise Unresolvable(f"{logical_id} does not exist under these conditions")
        # Only what names depend on: other properties may refer back to this very resource.
        properties = resource.get("Properties") or {}
        naming = {key: item for key, item in properties.items() if key.endswith("Name")}
        return resource["Type"], self.resolve(naming)

    def _find_in_map(self, argument: list[Json]) -> Json:
        table, first, second = (self.resolve(part) for part in argument[:3])
        return self._mappings[table][first][second]

    def _if(self, argument: list[Json]) -> Json:
        name, then, otherwise = argument
        return self.resolve(then if self.condition(name) else otherwise)

    def _sub(self, argument: str | list[Json]) -> str:
        template, variables = (argument, {}) if isinstance(argument, str) else argument
        own = {name: self.resolve(value) for name, value in variables.items()}

        def replace(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):  # ${!literal} stands for ${literal}
                return f"${{{name[1:]}}}"
            if name in own:
                return _text(own[name])
            return _text(self._get_att(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]*)\}", replace, template)


def _text(value: Json) -> str:
    if isinstance(value, list | dict) or value is _NO_VALUE:
        raise Unresolvable(f"text is needed, not {value!r}")
    return parameters.as_text(value)
