"""The result of an invocation, which Lambda returns and API Gateway reads."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """The handler's result, or an error.

    The payload of an error is what Lambda returns to the caller: `errorMessage`, `errorType` and
    more. `has_run` is whether the handler was called at all.
    """

    payload: Any
    is_error: bool = False
    has_run: bool = True
