"""Name the calls of services that are not imitated here, a line for each in place of a traceback.

Moto lacks some services and operations. To others it gives an answer that AWS could give, but does
no work: no job of Transcribe ends, no rule of EventBridge invokes a function.
"""

import json
import sys
from typing import Any
from urllib.parse import parse_qs

from local.credentials import function_of_key
from local.iam.signers import Signer, signer_of

type Answer = tuple[str, list[tuple[str, str]], bytes]

# The names that calls are signed for. Nobody waits for what logs, metrics and traces lead to.
_IMITATED = {
    "cognito-idp", "dynamodb", "kms", "logs", "monitoring", "s3", "secretsmanager", "sns", "sqs",
    "ssm", "sts", "xray",
}  # fmt: skip


class UnknownServices:
    """Names calls at the terminal: each once, and those of a service once for each function."""

    def __init__(self) -> None:
        self._named: set[tuple[str, ...]] = set()

    def answer(self, environ: dict[str, Any], error: Exception) -> Answer:
        """Return an error of AWS for a call that moto cannot answer, and name the call.

        Args:
            environ: The request, as WSGI has it.
            error: What moto raised.

        """
        signer, operation = _signer(environ), _operation(environ)
        call = f"{signer.service if signer else 'an unknown service'} {operation}"
        cause = "" if isinstance(error, NotImplementedError) else f" ({type(error).__name__})"
        self._print(call, f"{_caller(signer)} called {call}: moto cannot answer it{cause}")
        message = f"{call} is not imitated here{cause}"
        body = json.dumps({"__type": "NotImplemented", "message": message}).encode()
        headers = [
            ("Content-Type", "application/x-amz-json-1.0"),
            ("x-amzn-ErrorType", "NotImplemented"),
        ]
        return "501 Not Implemented", headers, body

    def after(self, environ: dict[str, Any], status: str) -> None:
        """Name a call that moto answered with this status if its service is not imitated."""
        signer = _signer(environ)
        if signer is None or signer.service in _IMITATED:
            return
        caller = _caller(signer)
        line = (
            f"{caller} called {signer.service} {_operation(environ)}: moto answers"
            f" ({status.partition(' ')[0]}), but {signer.service} does nothing here"
        )
        self._print(caller, line, signer.service)

    def _print(self, one: str, line: str, *others: str) -> None:
        if (one, *others) not in self._named:
            self._named.add((one, *others))
            print(f"Not imitated: {line}", file=sys.stderr, flush=True)


def _signer(environ: dict[str, Any]) -> Signer | None:
    return signer_of({"authorization": environ.get("HTTP_AUTHORIZATION", "")}, {})


def _caller(signer: Signer | None) -> str:
    return (signer and function_of_key(signer.access_key)) or "a client"


def _operation(environ: dict[str, Any]) -> str:
    """Return the operation as a header or a form names it, or else the path."""
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    form: dict[str, list[str]] = {}
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        environ["wsgi.input"].seek(0)
        form = parse_qs(environ["wsgi.input"].read().decode(errors="replace"))
    path: str = environ["PATH_INFO"]
    return target.rpartition(".")[2] or "".join(form.get("Action", [])) or path
