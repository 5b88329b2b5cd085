"""Check the calls of the embedded AWS against the roles of functions, in front of moto."""

import os
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from local.iam.access import AccessControl, RolesFile
from local.iam.call import Call
from local.iam.calls import permissions_for
from local.iam.policies import Permission
from local.iam.refusals import RefusedResponse, refused
from local.iam.s3_calls import bucket_of_read
from local.iam.signers import signer_of

ROLES_VARIABLE = "LOCAL_ROLES"
"""The environment variable with the path of the file of roles, if calls are checked."""

type Environ = dict[str, Any]
type Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def with_role_check(moto: Wsgi) -> Wsgi:
    """Return moto behind a check of roles, or moto itself if calls are not checked."""
    path = os.environ.get(ROLES_VARIABLE)
    return _RoleCheck(moto, RolesFile(Path(path))) if path else moto


class _RoleCheck:
    def __init__(self, moto: Wsgi, roles: RolesFile) -> None:
        self._moto = moto
        self._access = AccessControl(roles, _print)
        self._explained: set[str] = set()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = _headers(environ)
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        signer = signer_of(headers, query)
        if signer is None:
            return self._moto(environ, start_response)
        call = Call(
            service=signer.service,
            region=signer.region,
            method=environ["REQUEST_METHOD"],
            host=headers.get("host", ""),
            path=environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            query=query,
            headers=headers,
            body=_body(environ),
        )
        refusal = self._access.refusal(signer.access_key, permissions_for(call))
        if refusal is not None:
            return _send(refused(call.service, refusal), call, start_response)
        bucket = bucket_of_read(call)
        if bucket is None:
            return self._moto(environ, start_response)
        return self._read_object(signer.access_key, bucket, call, environ, start_response)

    def _read_object(
        self,
        access_key: str,
        bucket: str,
        call: Call,
        environ: Environ,
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        """Answer 403 in place of 404 to a function that may not know which objects there are.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        start: list[Any] = []
        body = self._moto(environ, lambda *args: start.extend(args))
        listing = Permission("s3:ListBucket", bucket)
        refusal = None
        if start[0].startswith("404"):
            refusal = self._access.missing(access_key, [listing])
        if refusal is None:
            start_response(*start)
            return body
        if refusal.function not in self._explained:
            self._explained.add(refusal.function)
            _print(f"{refusal.line}: so S3 answers 403, not 404, about objects that do not exist")
        return _send(refused("s3", refusal), call, start_response)


def _headers(environ: Environ) -> dict[str, str]:
    return {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }


def _body(environ: Environ) -> bytes:
    stream = environ["wsgi.input"]
    body: bytes = stream.read()
    stream.seek(0)
    return body


def _send(
    response: RefusedResponse, call: Call, start_response: Callable[..., Any]
) -> Iterable[bytes]:
    status = f"{response.status} {HTTPStatus(response.status).phrase}"
    start_response(status, [*response.headers.items()])
    return [] if call.method == "HEAD" else [response.body]


def _print(line: str) -> None:
    print(f"Warning: {line}", file=sys.stderr, flush=True)
