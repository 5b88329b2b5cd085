"""Check the arguments of CloudFormation's intrinsic functions, and name what is not known."""

from collections.abc import Callable, Mapping

from local.errors import Unknown, Unresolvable
from local.template.properties import Json, as_text, is_scalar

type OnUnknown = Callable[[str, Unknown], None]

# The value of `!Ref AWS::NoValue`, which removes its property or its list element.
NO_VALUE = object()


def ignore(_name: str, _error: Unknown) -> None:
    """Do nothing with a part that only AWS knows."""


class WrongArgument(Exception):
    """The argument of a function is not what the function takes."""


def as_list(value: Json, length: int | None = None) -> list[Json]:
    """Return a list of this length, and raise an error for anything else."""
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise WrongArgument
    return value


def as_mapping(value: Json) -> Mapping[str, Json]:
    """Return a mapping, and raise an error for anything else."""
    if not isinstance(value, dict):
        raise WrongArgument
    return value


def as_plain_text(value: Json) -> str:
    """Return a scalar as text, and raise an error for anything else."""
    if not is_scalar(value) or value is None or value is NO_VALUE:
        raise Unresolvable(f"text is needed, not {value!r}")
    return as_text(value)


def look_up(mappings: Json, keys: list[str], default: Json) -> Json:
    """Return a value of the template's mappings, or the default.

    Raises:
        Unresolvable: If there is no such value and no default.

    """
    found = mappings
    for key in keys:
        if key not in as_mapping(found):
            if default is None:
                raise Unresolvable(f"mapping {keys[0]} has no {key}; --region chooses the region")
            return default
        found = found[key]
    return found
