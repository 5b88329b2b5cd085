"""Read the properties of resources and check their types. Errors name resource and property."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.errors import LocalError, Unknown

type Json = Any


def as_text(value: Json) -> str:
    """Return a scalar of YAML as CloudFormation writes it: as text, booleans in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_scalar(value: Json) -> bool:
    """Return whether a value can be written as text: whether it is no list and no mapping."""
    return not isinstance(value, list | dict)


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties of one resource, or a mapping among them.

    A property that is absent, null or `AWS::NoValue` is missing: the readers return the default,
    or raise an error if there is none.

    Args:
        owner: The template and the logical id of the resource, for errors.
        values: The properties, not yet resolved.
        resolve: Resolves a value. The arguments are the value and the name of its property, for
            errors.
        prefix: What comes before the name of each property in errors.

    """

    owner: str
    values: Mapping[str, Json]
    resolve: Callable[[Json, str], Json] = lambda value, _name: value
    prefix: str = ""

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text.

        Raises:
            LocalError: If it is a list or a mapping, or if it is missing without a default.
            Unknown: If it has no default, and its value is known only to AWS.

        """
        text = self.optional_text(name)
        if text is not None:
            return text
        if default is not None:
            return default
        if self.values.get(name) is not None:
            raise Unknown(f"{self.owner}: {self.prefix}{name} is not known here")
        raise self._error(name, "is missing")

    def optional_text(self, name: str) -> str | None:
        """Return a text, or `None` if it is missing.

        Raises:
            LocalError: If it is a list or a mapping.

        """
        value = self.read(name)
        if not is_scalar(value):
            raise self._error(name, f"must be text, not {value!r}")
        return None if value is None else as_text(value)

    def number(self, name: str, default: float) -> float:
        """Return a number, which may be written as text.

        Raises:
            LocalError: If it is anything else.

        """
        number = self.optional_number(name)
        return default if number is None else number

    def optional_number(self, name: str) -> float | None:
        """Return a number, which may be written as text, or `None` if it is missing.

        Raises:
            LocalError: If it is anything else.

        """
        text = self.optional_text(name)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self._error(name, f"must be a number, not {text!r}")
        return number

    def items(self, name: str) -> list[Json]:
        """Return a list, empty if it is missing.

        Raises:
            LocalError: If it is anything else.

        """
        value = self.read(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._error(name, f"must be a list, not {value!r}")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, empty if it is missing.

        Raises:
            LocalError: If it is anything else.

        """
        values = self.items(name)
        if not all(is_scalar(value) for value in values):
            raise self._error(name, f"must be a list of texts, not {values!r}")
        return [as_text(value) for value in values]

    def mapping(self, name: str) -> "Properties":
        """Return a mapping, whose values are not yet resolved; an empty one if it is missing.

        Raises:
            LocalError: If it is anything else.

        """
        value = self.values.get(name)
        if not isinstance(value, dict) or _is_function(value):
            value = self.read(name)
        if value is not None and not isinstance(value, dict):
            raise self._error(name, f"must be a mapping, not {value!r}")
        return Properties(self.owner, value or {}, self.resolve, f"{self.prefix}{name}.")

    def mappings(self, name: str) -> "list[Properties]":
        """Return a list of mappings, empty if it is missing.

        Raises:
            LocalError: If it is anything else.

        """
        values = self.items(name)
        if not all(isinstance(value, dict) for value in values):
            raise self._error(name, f"must be a list of mappings, not {values!r}")
        prefix = f"{self.prefix}{name}."
        return [Properties(self.owner, value, self.resolve, prefix) for value in values]

    def read(self, name: str) -> Json:
        """Return a value of any type, or `None` if it is missing."""
        return self.resolve(self.values.get(name), f"{self.prefix}{name}")

    def _error(self, name: str, problem: str) -> LocalError:
        return LocalError(f"{self.owner}: {self.prefix}{name} {problem}")


def _is_function(value: Mapping[str, Json]) -> bool:
    """Return whether a mapping is a call of one of CloudFormation's intrinsic functions."""
    return len(value) == 1 and any(key == "Ref" or key.startswith("Fn::") for key in value)
