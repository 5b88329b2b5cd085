"""Choose the route of a frame by the API's route selection expression.

Rules: https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-routes.html
"""

import json
import re
from collections.abc import Container
from typing import Any

from local.template.model import BODY_PATH

DEFAULT = "$default"

_STEP = re.compile(r"[^.\[\]]+")


def select_route(expression: str, text: str, keys: Container[str]) -> str | None:
    """Return the key of a frame's route, or `None` if no route matches.

    The value of the expression must equal the key; if it equals none, the route is `$default`. A
    frame that is not JSON, or is empty, has no value and goes to `$default` too (the same page). So
    does one that is nested too deeply to be read; what AWS does with it is not documented.

    A frame can select `$connect` or `$disconnect`. Whether AWS allows that is not documented. It is
    allowed here, since it shows mistakes in a handler that checks `routeKey` alone.
    """
    try:
        body = json.loads(text)
        key = BODY_PATH.sub(lambda part: _as_text(find_value(body, part[1] or part[2])), expression)
    except (ValueError, RecursionError):
        key = DEFAULT
    if key in keys:
        return key
    return DEFAULT if DEFAULT in keys else None


def find_value(value: Any, path: str) -> Any:
    """Return what is at a path such as `a.b[0]` in a value of JSON, or `None`."""
    for step in _STEP.findall(path):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _as_text(value: Any) -> str:
    # A missing path gives the empty string, other values their text (the same page).
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
