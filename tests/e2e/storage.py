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
    """Send a request; check that the embedded S3 refuses just what has another signature."""
    asked = httpx.Request(method, url, headers=headers, content=content)
    with httpx.Client(timeout=60) as client:
        answer = client.send(asked)
    if target.aws_endpoint is not None:
        takes = any(
            s3_takes(method, str(asked.url), asked.headers, secret=each) for each in _SECRETS
        )
        assert takes == (answer.status_code != FORBIDDEN)
    return answer
