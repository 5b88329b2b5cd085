"""Rename what a nested template declares, so that it fits into the template around it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.template.properties import Json

_VARIABLE = re.compile(r"\$\{([^}!]+)\}")


@dataclass(frozen=True, slots=True)
class Value:
    """A value that stands for a variable of `Fn::Sub`."""

    value: Json


@dataclass(frozen=True, slots=True)
class Renaming:
    """New names for what a nested template declares: its own, after the name of its stack.

    `parameters` have the values that stand in place of references to them.
    """

    stack: str
    parameters: Mapping[str, Json]
    resources: frozenset[str]
    conditions: frozenset[str]
    mappings: frozenset[str]

    def section(self, section: Mapping[str, Json]) -> dict[str, Json]:
        """Return a section of the template, with new names for what it declares."""
        return {self.stack + name: self._declared(item) for name, item in section.items()}

    def value(self, value: Json) -> Json:
        """Return a value in which all references have the new names."""
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self._mapping(value) if isinstance(value, dict) else value

    def _mapping(self, value: Mapping[str, Json]) -> Json:
        match list(value.items()):
            case [("Ref", str(name))] if name in self.parameters:
                return self.parameters[name]
            case [("Ref" | "Fn::GetAtt" | "Condition" as function, str(name))]:
                return {function: self._name(name, self._known_to(function))}
            case [("Fn::GetAtt" | "Fn::If" | "Fn::FindInMap" as function, [str(name), *rest])]:
                first = self._name(name, self._known_to(function))
                return {function: [first, *map(self.value, rest)]}
            case [("Fn::Sub", argument)]:
                return substituted(argument, self._variable, self.value)
        return {key: self.value(item) for key, item in value.items()}

    def _known_to(self, function: str) -> frozenset[str]:
        """Return the names that a function can refer to."""
        if function in {"Condition", "Fn::If"}:
            return self.conditions
        return self.mappings if function == "Fn::FindInMap" else self.resources

    def _declared(self, item: Json) -> Json:
        renamed = self.value(item)
        if isinstance(renamed, dict) and isinstance(renamed.get("Type"), str):  # a resource
            if isinstance(renamed.get("Condition"), str):
                renamed["Condition"] = self._name(renamed["Condition"], self.conditions)
            if "DependsOn" in renamed:
                before = renamed["DependsOn"]
                names = [before] if isinstance(before, str) else before
                renamed["DependsOn"] = [self._name(name, self.resources) for name in names]
        return renamed

    def _name(self, name: str, declared: frozenset[str]) -> str:
        return self.stack + name if name.partition(".")[0] in declared else name

    def _variable(self, name: str) -> str | Value:
        if name in self.parameters:
            return Value(self.parameters[name])
        return self._name(name, self.resources)


def with_outputs(document: Json, outputs: Mapping[str, Mapping[str, Json]]) -> Json:
    """Return a template in which `Fn::GetAtt` of a nested stack's output is the output's value."""

    def attribute(path: str) -> Json | None:
        stack, _, rest = path.partition(".Outputs.")
        return outputs.get(stack, {}).get(rest)

    def variable(name: str) -> str | Value:
        value = attribute(name)
        return name if value is None else Value(replace(value))

    def replace(value: Json) -> Json:
        if isinstance(value, list):
            return [replace(item) for item in value]
        if not isinstance(value, dict):
            return value
        found = None
        match list(value.items()):
            case [("Fn::GetAtt", str(path))]:
                found = attribute(path)
            case [("Fn::GetAtt", [str(stack), str(name)])]:
                found = attribute(f"{stack}.{name}")
            case [("Fn::Sub", argument)]:
                return substituted(argument, variable, replace)
        if found is not None:
            return replace(found)  # an output may be that of another nested stack
        return {key: replace(item) for key, item in value.items()}

    return replace(document) if outputs else document


def substituted(
    argument: Json, new_variable: Callable[[str], str | Value], rename: Callable[[Json], Json]
) -> Json:
    """Return an `Fn::Sub` with other variables.

    Args:
        argument: Its argument: a text, or a text and a mapping.
        new_variable: Returns the new name of a variable, or the value that stands for it.
        rename: Renames the references in the mapping.

    """
    text, own = argument if isinstance(argument, list) and len(argument) == 2 else (argument, {})
    if not isinstance(text, str) or not isinstance(own, dict):
        return {"Fn::Sub": rename(argument)}
    variables = {name: rename(item) for name, item in own.items()}

    def replace(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name in own or name.startswith("AWS::"):
            return match[0]
        new = new_variable(name)
        if isinstance(new, Value):
            variables[f"Nested{len(variables)}"] = new.value
            new = f"Nested{len(variables) - 1}"
        return f"${{{new}}}"

    renamed = _VARIABLE.sub(replace, text)
    return {"Fn::Sub": [renamed, variables] if variables else renamed}
