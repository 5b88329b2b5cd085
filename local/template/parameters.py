"""The values of a template's parameters, checked as CloudFormation checks them.

Rules: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from local.errors import LocalError


def parse_overrides(pairs: Iterable[str]) -> dict[str, str]:
    """Read `Key=Value` pairs, as `sam deploy --parameter-overrides` takes them.

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

    Raises:
        LocalError: If an override names no parameter, a parameter has no value, or a value is not
            allowed.

    """
    for name in overrides:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise LocalError(f"the template has no parameter {name} (it has: {known})")
    values = {}
    for name, rules in declared.items():
        if name in overrides:
            value = overrides[name]
        elif "Default" in rules:
            value = as_text(rules["Default"])
        else:
            raise LocalError(
                f"parameter {name} has no default: give it with --parameter-overrides {name}=VALUE"
            )
        _check(name, value, rules)
        values[name] = value
    return values


def as_text(value: object) -> str:
    """Write a scalar of YAML as CloudFormation does: always text, booleans in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_list(rules: Mapping[str, Any]) -> bool:
    """Tell whether a reference to the parameter gives a list."""
    kind = str(rules.get("Type"))
    return kind == "CommaDelimitedList" or kind.startswith("List<")


def _check(name: str, value: str, rules: Mapping[str, Any]) -> None:
    kind = str(rules.get("Type"))
    if kind.startswith("AWS::SSM::"):
        raise LocalError(f"parameter {name} is read from Systems Manager, which is not imitated")
    for item in [text.strip() for text in value.split(",")] if is_list(rules) else [value]:
        allowed = [as_text(each) for each in rules.get("AllowedValues", [])]
        if allowed and item not in allowed:
            raise LocalError(f"parameter {name}: {item!r} is none of {', '.join(allowed)}")
        pattern = rules.get("AllowedPattern")
        if pattern is not None and not re.fullmatch(str(pattern), item):
            raise LocalError(f"parameter {name}: {item!r} does not match {pattern}")
        if kind == "Number":
            _check_bounds(name, _number(name, item), rules, "Value")
        elif kind == "String":
            _check_bounds(name, len(item), rules, "Length")


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise LocalError(f"parameter {name}: {text!r} is no number") from None


def _check_bounds(name: str, size: float, rules: Mapping[str, Any], what: str) -> None:
    low, high = rules.get(f"Min{what}"), rules.get(f"Max{what}")
    if (low is not None and size < float(low)) or (high is not None and size > float(high)):
        raise LocalError(f"parameter {name}: {what.lower()} {size:g} is not within {low} to {high}")
