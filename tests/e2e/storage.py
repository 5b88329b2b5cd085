"""S3 as a client meets it: plain HTTP, and nothing that was not signed."""

import os
from collections.abc import Mapping

import httpx

from local.credentials import EMBEDDED, Credentials
from tests.support.runner import Target
from tests.support.signatures import s3_takes

# What the local runner gives its functions: for the embedded S3, and with `--aws-endpoint`.
_SECRETS = {EMBEDDED.secret_key, Credentials.from_environment(os.environ).secret_key}

# What S3 answers where a signature does not match.
FORBIDDEN = 403


def request(
    target: Target,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Response:
    """Send a request; the embedded S3 takes any, so the signature is checked here for it."""
    asked = httpx.Request(method, url, headers=headers, content=content)
    if target.aws_endpoint is not None and not any(
        s3_takes(method, str(asked.url), asked.headers, secret=each) for each in _SECRETS
    ):
        return httpx.Response(FORBIDDEN, request=asked)
    with httpx.Client(timeout=60) as client:
        return client.send(asked)
