"""The result of an invocation, which Lambda returns and API Gateway reads."""

from dataclasses import dataclass
from typing import Any

_MAX_ERROR_LENGTH = 300


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """The handler's result, or an error.

    The payload of an error is what Lambda returns to the caller: `errorMessage`, `errorType` and
    more. `has_run` is whether the handler was called at all.
    """

    payload: Any
    is_error: bool = False
    has_run: bool = True

    @property
    def error(self) -> str:
        """The type and the message of an error in one line, for the developer."""
        message = " ".join(str(self.payload.get("errorMessage", "")).split())
        line = ": ".join(filter(None, [self.payload.get("errorType"), message]))
        is_short = len(line) <= _MAX_ERROR_LENGTH
        return line if is_short else f"{line[:_MAX_ERROR_LENGTH]}…"
