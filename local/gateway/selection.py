"""Which route a frame takes: the API's route selection expression.

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
        key = BODY_PATH.sub(lambda part: _as_text(_find(body, part[1] or part[2])), expression)
    if key in keys:
        return key
    return DEFAULT if DEFAULT in keys else None


def _find(value: Any, path: str) -> Any:
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
