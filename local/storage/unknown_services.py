"""Answer calls of services and operations that moto lacks, with a line in place of a traceback."""

import json
import sys
from typing import Any

type Answer = tuple[str, list[tuple[str, str]], bytes]


def not_imitated(environ: dict[str, Any], error: Exception, named: set[str]) -> Answer:
    """Return an error of AWS for a call that moto cannot answer; print a line, once for each call.

    Args:
        environ: The request, as WSGI has it.
        error: What moto raised.
        named: The calls that have their line already.

    """
    call = _call(environ)
    cause = "" if isinstance(error, NotImplementedError) else f" ({type(error).__name__})"
    message = f"{call} is not imitated here{cause}"
    if call not in named:
        named.add(call)
        print(
            f"Not imitated: a function called {call}: moto cannot answer it{cause}", file=sys.stderr
        )
    body = json.dumps({"__type": "NotImplemented", "message": message}).encode()
    headers = [
        ("Content-Type", "application/x-amz-json-1.0"),
        ("x-amzn-ErrorType", "NotImplemented"),
    ]
    return "501 Not Implemented", headers, body


def _call(environ: dict[str, Any]) -> str:
    """Return the service and, if the request names it, the operation."""
    # Credential=<key>/<date>/<region>/<service>/aws4_request
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/")
    service = scope[3] if len(scope) > 3 else "an unknown service"
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    operation = target.rpartition(".")[2] or environ["PATH_INFO"]
    return f"{service} {operation}"
