"""What S3 checks of a presigned link, without botocore: Signature Version 4, in the query.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit


def s3_takes(method: str, url: str, headers: Mapping[str, str], *, secret: str) -> bool:
    """Say whether S3 would find the signature of a request to be right.

    Args:
        method: Of the request.
        url: Of the request, whole.
        headers: Of the request, but for ``Host``, in any case.
        secret: The signer's secret key.
    """
    link = urlsplit(url)
    query = dict(parse_qsl(link.query, keep_blank_values=True, strict_parsing=True))
    signature = query.pop("X-Amz-Signature")
    scope = query["X-Amz-Credential"].partition("/")[2]
    there = {"host": link.netloc} | {name.lower(): value for name, value in headers.items()}
    signed = query["X-Amz-SignedHeaders"].split(";")
    if not {name for name in there if name.startswith("x-amz-")} <= set(signed):
        return False
    canonical = "\n".join(
        [
            method,
            quote(unquote(link.path), safe="/~"),
            "&".join(f"{_encoded(name)}={_encoded(query[name])}" for name in sorted(query)),
            *(f"{name}:{there.get(name, '').strip()}" for name in signed),
            "",
            ";".join(signed),
            "UNSIGNED-PAYLOAD",
        ]
    )
    to_sign = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            query["X-Amz-Date"],
            scope,
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return hmac.compare_digest(_hmac(key, to_sign).hex(), signature)


def signed_headers(url: str) -> list[str]:
    """List what a link's signature covers, apart from its method, path and query."""
    return dict(parse_qsl(urlsplit(url).query))["X-Amz-SignedHeaders"].split(";")


def _encoded(text: str) -> str:
    return quote(text, safe="~")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
