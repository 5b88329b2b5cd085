"""Match records of event sources against filter patterns.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
"""

import json
import operator
from collections.abc import Callable, Iterable
from typing import Any

_COMPARISONS = {
    "<": operator.lt, "<=": operator.le, "=": operator.eq, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_MISSING = object()


def matches_any(record: Any, patterns: Iterable[str]) -> bool:
    """Return whether a record matches one of the patterns, or there is no pattern."""
    parsed = [json.loads(pattern) for pattern in patterns]
    return not parsed or any(_matches(record, pattern) for pattern in parsed)


def _matches(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, list):
        return any(_matches_rule(value, rule) for rule in pattern)
    found = value if isinstance(value, dict) else {}
    return all(_matches(found.get(name, _MISSING), rules) for name, rules in pattern.items())


def _matches_rule(value: Any, rule: Any) -> bool:
    if not isinstance(rule, dict):
        return type(value) is type(rule) and bool(value == rule)
    ((name, argument),) = rule.items()
    return name in _RULES and _RULES[name](value, argument)


def _is_none_of(value: Any, rules: Any) -> bool:
    every = rules if isinstance(rules, list) else [rules]
    return value is not _MISSING and not any(_matches_rule(value, rule) for rule in every)


def _is_within(value: Any, bounds: list[Any]) -> bool:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    return all(_COMPARISONS[sign](number, bound) for sign, bound in pairs)


_RULES: dict[str, Callable[[Any, Any], bool]] = {
    "anything-but": _is_none_of,
    "equals-ignore-case": lambda value, text: str(value).lower() == str(text).lower(),
    "exists": lambda value, wanted: (value is not _MISSING) == wanted,
    "numeric": _is_within,
    "prefix": lambda value, text: isinstance(value, str) and value.startswith(text),
    "suffix": lambda value, text: isinstance(value, str) and value.endswith(text),
}
