"""Evaluate CloudFormation's intrinsic functions.

Rules: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import base64
import json
import re
from collections.abc import Callable, Mapping

from local.errors import Unknown, Unresolvable
from local.template import parameters
from local.template.arguments import (
    NO_VALUE,
    OnUnknown,
    WrongArgument,
    as_list,
    as_mapping,
    as_plain_text,
    ignore,
    look_up,
)
from local.template.properties import Json, as_text
from local.template.resources import Names, identifying, without_later_names


class Resolver:
    """Resolves references, functions and conditions of one template.

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
        self._pseudo = {**names.pseudo_parameters, "AWS::NoValue": NO_VALUE}
        self._functions: dict[str, Callable[[Json], Json]] = {
            "Ref": self._ref,
            "Condition": self.condition,
            "Fn::And": lambda terms: all(self._condition(term) for term in as_list(terms)),
            "Fn::Base64": lambda text: base64.b64encode(self._text(text).encode()).decode(),
            "Fn::Equals": self._equals,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAZs": lambda _: [f"{names.region}{zone}" for zone in "abc"],
            "Fn::GetAtt": self._get_att,
            "Fn::If": lambda terms: self.resolve(self._choose(terms)),
            "Fn::Join": self._join,
            "Fn::Length": lambda items: len(as_list(self.resolve(items))),
            "Fn::Not": lambda terms: not self._condition(*as_list(terms, 1)),
            "Fn::Or": lambda terms: any(self._condition(term) for term in as_list(terms)),
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
            "Fn::ToJsonString": lambda value: json.dumps(self.resolve(value)),
        }

    def resources(self, on_unknown: OnUnknown = ignore) -> dict[str, Mapping[str, Json]]:
        """Return the resources whose condition holds, or that have none, unresolved.

        One whose condition only AWS knows is left out: `on_unknown` gets its name and the error.
        """
        found = {}
        for logical_id, resource in self._all_resources.items():
            try:
                if "Condition" not in resource or self.condition(resource["Condition"]):
                    found[logical_id] = resource
            except Unknown as error:
                on_unknown(logical_id, error)
        return found

    def resolve(self, value: Json) -> Json:
        """Return the value with the results of all functions in it.

        Raises:
            Unresolvable: If something in it cannot be known here.

        """
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        called = self._called(value)
        if called is not None:
            return self._call(called, value[called])
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def resolve_known(self, value: Json, name: str, on_unknown: OnUnknown) -> Json:
        """Resolve the value of a property without the parts that only AWS knows.

        `on_unknown` gets the name and the error of each part.

        Raises:
            Unresolvable: If it cannot be resolved; `Unknown` if all of it is known only to AWS.

        """
        if isinstance(value, list):
            parts = [(index, item, name) for index, item in enumerate(value)]
            return list(self._known(parts, on_unknown).values())
        if not isinstance(value, dict):
            return value
        called = self._called(value)
        if called == "Fn::If":
            chosen = self._choose(value[called])
            return self.resolve_known(chosen, name, on_unknown)
        if called is not None:
            return self._call(called, value[called])
        named = [(key, item, f"{name}.{key}") for key, item in value.items()]
        return self._known(named, on_unknown)

    def _known(
        self, parts: list[tuple[Json, Json, str]], on_unknown: OnUnknown
    ) -> dict[Json, Json]:
        """Return the parts that are known here, by their keys."""
        known = {}
        for key, item, name in parts:
            try:
                resolved = self.resolve_known(item, name, on_unknown)
            except Unknown as error:
                on_unknown(name, error)
            else:
                if resolved is not NO_VALUE:
                    known[key] = resolved
        return known

    def condition(self, name: Json) -> bool:
        """Return whether a condition of the template holds."""
        if not isinstance(name, str) or name not in self._conditions:
            raise Unresolvable(f"there is no condition {name} in the template")
        return self._condition(self._conditions[name])

    def _called(self, value: Mapping[str, Json]) -> str | None:
        """Return the name of the function that a mapping calls, or `None`."""
        if len(value) != 1:
            return None
        ((name, argument),) = value.items()
        if name == "Condition" and isinstance(argument, dict):
            return None
        return name if name in self._functions or name.startswith("Fn::") else None

    def _call(self, name: str, argument: Json) -> Json:
        if name not in self._functions:
            what = f"{name} {argument}" if isinstance(argument, str) else name
            raise Unknown(f"{what} is known only to AWS")
        try:
            return self._functions[name](argument)
        except WrongArgument as error:
            raise Unresolvable(f"{name} cannot take {argument!r}") from error

    def _condition(self, term: Json) -> bool:
        return bool(self.resolve(term))

    def _text(self, value: Json) -> str:
        return as_plain_text(self.resolve(value))

    def _ref(self, name: Json) -> Json:
        name = as_plain_text(name)
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._values:
            text = self._values[name]
            is_list = parameters.is_list(self._declared[name])
            return [item.strip() for item in text.split(",")] if is_list else text
        if name in self._declared:
            raise Unknown(
                f"parameter {name} is read from Systems Manager:"
                f" give it with --parameter-overrides {name}=VALUE"
            )
        kind, properties = self.resource(name)
        return self._names.ref(name, kind, properties)

    def _get_att(self, argument: Json) -> Json:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        logical_id, attribute = (self._text(part) for part in as_list(parts, 2))
        kind, properties = self.resource(logical_id)
        return self._names.attribute(logical_id, kind, properties, attribute)

    def resource(self, logical_id: str) -> tuple[str, Mapping[str, Json]]:
        """Return the type of a resource, and the properties that identify it."""
        resource = self._all_resources.get(logical_id)
        if resource is None:
            raise Unresolvable(f"there is no resource or parameter {logical_id} in the template")
        if "Condition" in resource and not self.condition(resource["Condition"]):
            raise Unresolvable(f"{logical_id} does not exist under these conditions")
        # The other properties may refer back to this resource.
        naming = identifying(resource["Type"], resource.get("Properties") or {})
        # A name that only AWS knows counts as none: the resource gets one here.
        known = self.resolve_known(naming, "", ignore)
        return resource["Type"], without_later_names(known)

    def _equals(self, argument: Json) -> bool:
        # CloudFormation compares texts: a parameter of type Number equals a number.
        first, second = (as_text(self.resolve(item)) for item in as_list(argument, 2))
        return first == second

    def _find_in_map(self, argument: Json) -> Json:
        keys = [self._text(key) for key in as_list(as_list(argument)[:3], 3)]
        # The fourth argument is one of the language extensions.
        default = as_mapping(argument[3]).get("DefaultValue") if len(argument) > 3 else None
        return self.resolve(look_up(self._mappings, keys, default))

    def _choose(self, argument: Json) -> Json:
        """Return what `Fn::If` chooses, unresolved."""
        try:
            name, then, otherwise = as_list(argument, 3)
        except WrongArgument as error:
            raise Unresolvable(f"Fn::If cannot take {argument!r}") from error
        return then if self.condition(name) else otherwise

    def _join(self, argument: Json) -> str:
        delimiter, items = as_list(argument, 2)
        return as_plain_text(delimiter).join(map(as_plain_text, as_list(self.resolve(items))))

    def _select(self, argument: Json) -> Json:
        index, items = as_list(argument, 2)
        number, resolved = self._text(index), as_list(self.resolve(items))
        if not number.isdecimal() or int(number) >= len(resolved):
            raise WrongArgument
        return resolved[int(number)]

    def _split(self, argument: Json) -> list[str]:
        delimiter, text = as_list(argument, 2)
        if not delimiter:
            raise WrongArgument
        return self._text(text).split(as_plain_text(delimiter))

    def _sub(self, argument: Json) -> str:
        template, variables = (argument, {}) if isinstance(argument, str) else as_list(argument, 2)
        own = {name: self.resolve(value) for name, value in as_mapping(variables).items()}

        def replace(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):  # ${!literal} stands for ${literal}
                return f"${{{name[1:]}}}"
            if name in own:
                return as_plain_text(own[name])
            return as_plain_text(self._get_att(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]*)\}", replace, as_plain_text(template))
