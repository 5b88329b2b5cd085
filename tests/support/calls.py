"""The call that a request of botocore is, as the local runner sees it."""

from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest

from local.iam.call import Call


def call_of(service: str, region: str, request: AWSPreparedRequest) -> Call:
    """Return the call that a request is.

    Args:
        service: As in the scope of its credential.
        region: Likewise.
        request: What botocore sends, or has signed.
    """
    url = urlsplit(request.url)
    # Botocore signs values as bytes, and sends bodies that are bytes, text or streams.
    headers, body = cast("Any", request.headers), cast("Any", request.body)
    return Call(
        service=service,
        region=region,
        method=request.method,
        host=url.netloc,
        path=unquote(url.path),
        query=dict(parse_qsl(url.query, keep_blank_values=True)),
        headers={
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in headers.items()
        },
        body=body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b"",
    )
