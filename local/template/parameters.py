"""Read the values of a template's parameters, and check them as CloudFormation does.

Rules: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from local.errors import LocalError
from local.template.properties import Properties

_STORED = "AWS::SSM::Parameter::Value<"


def parse_overrides(pairs: Iterable[str]) -> dict[str, str]:
    """Return the parameters of `Key=Value` pairs, as `sam deploy --parameter-overrides` takes them.

    Raises:
        LocalError: If a pair has no `=`.

    """
    overrides = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise LocalError(f"--parameter-overrides takes Key=Value, not {pair!r}")
        overrides[key] = value
    return overrides


def parameter_values(
    declared: Mapping[str, Mapping[str, Any]], overrides: Mapping[str, str]
) -> dict[str, str]:
    """Return the text of every parameter: the override, or the default.

    A parameter whose default names a value in Systems Manager has none without an override.

    Raises:
        LocalError: If an override names no parameter, a parameter has no value, or a value is not
            allowed.

    """
    for name in overrides:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise LocalError(f"the template has no parameter {name} (it has: {known})")
    values, missing = {}, []
    for name, written in declared.items():
        rules = Properties(f"parameter {name}", written)
        default = rules.optional_text("Default")
        if name not in overrides and default is not None and _is_stored(written):
            continue
        value = overrides.get(name, default)
        if value is None:
            missing.append(name)
            continue
        _check(name, value, rules)
        values[name] = value
    if missing:
        options = " ".join(f"{name}=VALUE" for name in missing)
        have, them = ("has", "it") if len(missing) == 1 else ("have", "them")
        raise LocalError(
            f"parameter {', '.join(missing)} {have} no default:"
            f" give {them} with --parameter-overrides {options}"
        )
    return values


def is_list(rules: Mapping[str, Any]) -> bool:
    """Return whether a reference to the parameter gives a list."""
    kind = str(rules.get("Type")).removeprefix(_STORED)
    return kind.startswith(("CommaDelimitedList", "List<"))


def _is_stored(rules: Mapping[str, Any]) -> bool:
    """Return whether the value of a parameter is the name of a value in Systems Manager."""
    return str(rules.get("Type")).startswith(_STORED)


def _check(name: str, value: str, rules: Properties) -> None:
    kind = rules.text("Type", "")
    items = [text.strip() for text in value.split(",")] if is_list(rules.values) else [value]
    for item in items:
        allowed = rules.texts("AllowedValues")
        if allowed and item not in allowed:
            raise LocalError(f"parameter {name}: {item!r} is none of {', '.join(allowed)}")
        _check_pattern(name, item, rules.optional_text("AllowedPattern"))
        if kind == "Number":
            _check_bounds(name, _number(name, item), rules, "Value")
        elif kind == "String":
            _check_bounds(name, len(item), rules, "Length")


def _check_pattern(name: str, text: str, pattern: str | None) -> None:
    if pattern is None:
        return
    try:
        matches = re.fullmatch(pattern, text)
    except re.PatternError as error:
        raise LocalError(
            f"parameter {name}: AllowedPattern must be a regular expression: {error}"
        ) from error
    if not matches:
        raise LocalError(f"parameter {name}: {text!r} does not match {pattern}")


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise LocalError(f"parameter {name}: {text!r} is no number") from None


def _check_bounds(name: str, size: float, rules: Properties, what: str) -> None:
    low, high = rules.optional_number(f"Min{what}"), rules.optional_number(f"Max{what}")
    if (low is not None and size < low) or (high is not None and size > high):
        raise LocalError(f"parameter {name}: {what.lower()} {size:g} is not within {low} to {high}")
