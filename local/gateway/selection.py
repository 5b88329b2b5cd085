"""Which route a frame takes: the API's route selection expression.

Rules: https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-routes.html
"""

import json
import re
from collections.abc import Container
from typing import Any

DEFAULT = "$default"

# $request.body.action, ${request.body.action}, and text around or between such parts.
_PART = re.compile(r"\$\{request\.body\.([^}]+)\}|\$request\.body\.([\w.\[\]-]+)")
_STEP = re.compile(r"[^.\[\]]+")


def is_understood(expression: str) -> bool:
    """Tell whether nothing but the body of the frame decides."""
    return "$" not in _PART.sub("", expression)


def select_route(expression: str, text: str, keys: Container[str]) -> str | None:
    """Return the key of the route that a frame takes, or `None` if there is none for it.

    An exact match with the key, else `$default`. A frame that is not JSON, or is empty, has no
    value to select by, and goes to `$default` as well (the same page).

    A frame may thus name `$connect` or `$disconnect`. Whether AWS lets it is not documented; here
    it does, so that a handler that looks at `routeKey` alone is found out.
    """
    try:
        body = json.loads(text)
    except ValueError:
        key = DEFAULT
    else:
        key = _PART.sub(lambda part: _as_text(_find(body, part[1] or part[2])), expression)
    if key in keys:
        return key
    return DEFAULT if DEFAULT in keys else None


def _find(value: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    for step in _STEP.findall(path):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _as_text(value: Any) -> str:  # noqa: ANN401 - any JSON
    # A missing path gives the empty string, other values their text (the same page).
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
