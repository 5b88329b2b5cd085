"""A frame that a client sent, and how its fields are read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import inf
from typing import Final, Literal

from chat.errors import InvalidRequest

MAX_TIMESTAMP: Final = 10**16 - 1
"""The year 318857. Python's and DynamoDB's numbers reach further."""

# White space, controls, what Unicode calls default ignorable (joiners, variation selectors, tags,
# fillers of Hangul), and the empty pattern of Braille:
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_BLANK = re.compile(
    r"[\s\0-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing. Emoji show, with whatever joiners and selectors."""
    return _BLANK.fullmatch(text) is not None


class ClientFrame:
    """One JSON object that a client sent.

    Fields that the protocol does not know are left alone, and null means absent. Reading one that
    is not of the form that the method says raises `InvalidRequest`.
    """

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def parse(cls, body: str) -> ClientFrame:
        """Read a frame from the text that arrived.

        Raises:
            InvalidRequest: It is not a JSON object, or holds a field twice.
        """
        try:
            fields = json.loads(
                body, parse_constant=_refuse_constant, object_pairs_hook=_refuse_repetition
            )
        except (ValueError, RecursionError) as error:
            raise InvalidRequest("The frame must be JSON.") from error
        if not isinstance(fields, dict):
            raise InvalidRequest("The frame must be a JSON object.")
        return cls(fields)

    @property
    def client_message_id(self) -> str | None:
        """The client's own id of a message, where it gave one: 1 to 128 characters."""
        return self.optional_string("clientMessageId", max_length=128)

    def has(self, field: str) -> bool:
        """Return whether there is such a field, with any value."""
        return field in self._fields

    def string(self, field: str, *, max_length: int) -> str:
        """Read a text that must be there: 1 to `max_length` code points of Unicode without NUL."""
        if field not in self._fields:
            raise InvalidRequest(f"`{field}` is missing.")
        value = self._fields[field]
        if not isinstance(value, str):
            raise InvalidRequest(f"`{field}` must be a string.")
        if not 1 <= len(value) <= max_length:
            raise InvalidRequest(f"`{field}` must have 1 to {max_length} characters.")
        if "\0" in value:
            # A program that takes it for a string's end would read less than was checked here.
            raise InvalidRequest(f"`{field}` must not hold the character NUL.")
        # JSON can spell half of a surrogate pair ("\ud800"); UTF-8, and so DynamoDB, cannot.
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise InvalidRequest(
                f"`{field}` must be valid Unicode: half of a surrogate pair is missing."
            )
        return value

    def optional_string(self, field: str, *, max_length: int) -> str | None:
        """Read a text that may be absent, as `string` does."""
        return self.string(field, max_length=max_length) if field in self._fields else None

    def whole_number(self, field: str, *, minimum: int = 0, maximum: float = inf) -> int:
        """Read a whole number that must be there. It may be written 1.0."""
        value = self._fields.get(field)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        # JSON's true is Python's True, which is an int.
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            upper = "or more" if maximum == inf else f"to {maximum}"
            raise InvalidRequest(f"`{field}` must be a whole number, {minimum} {upper}.")
        return value

    def optional_whole_number(
        self, field: str, *, minimum: int = 0, maximum: float = inf
    ) -> int | None:
        """Read a number that may be absent, as `whole_number` does."""
        if field not in self._fields:
            return None
        return self.whole_number(field, minimum=minimum, maximum=maximum)

    def true(self, field: str) -> Literal[True]:
        """Read a field that can only be true."""
        if self._fields.get(field) is not True:
            raise InvalidRequest(f"`{field}` can only be true.")
        return True


def _refuse_constant(name: str) -> None:
    # Python reads NaN and Infinity, which JSON does not have.
    raise ValueError(name)


def _refuse_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # JSON does not say which of the two counts, so a check and a use of a frame may differ:
    # https://www.rfc-editor.org/rfc/rfc8259#section-4
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidRequest("The frame must not hold a field twice.")
    return fields
