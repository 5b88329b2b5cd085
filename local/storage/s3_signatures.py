"""Check Signature Version 4 as S3 does, in links and in `Authorization` headers.

botocore's signer computes the signature that a request should have.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest, HTTPHeaders
from botocore.credentials import Credentials as BotocoreCredentials

from local.storage.refusals import Refusal, access_denied
from local.storage.s3_request import S3Request

_ALGORITHM = "AWS4-HMAC-SHA256"
_MAX_EXPIRES_S = 604_800
_MAX_SKEW = timedelta(minutes=15)
_IN_QUERY = ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([^, ]+)"
)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says about its own signature."""

    access_key: str
    region: str
    service: str
    time: datetime
    signed_headers: tuple[str, ...]
    signature: str


def is_presigned(request: S3Request) -> bool:
    """Return whether the query holds a signature, of any version."""
    names = request.parameters.keys()
    return "X-Amz-Algorithm" in names or "X-Amz-Signature" in names or "Signature" in names


def check_link(request: S3Request, access_key: str, secret_key: str, token: str) -> None:
    """Check a presigned request.

    Args:
        request: The request.
        access_key: The key that signs links.
        secret_key: Its secret.
        token: The token of its session.

    Raises:
        Refusal: As S3 refuses it.

    """
    given = request.parameters
    if "Signature" in given:  # Signature Version 2, which S3 takes for no bucket made since 2020
        raise Refusal(
            400,
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use"
            f" {_ALGORITHM}.",
        )
    if request.header("authorization") is not None:
        raise Refusal(400, "InvalidArgument", "Only one auth mechanism allowed")
    if any(f"X-Amz-{name}" not in given for name in _IN_QUERY):
        names = ", ".join(f"X-Amz-{name}" for name in _IN_QUERY)
        raise _malformed_link(f"Query-string authentication version 4 requires {names}")
    if given["X-Amz-Algorithm"] != _ALGORITHM:
        raise _malformed_link(f"X-Amz-Algorithm only supports {_ALGORITHM}")
    claim = _claim(
        given["X-Amz-Credential"], given["X-Amz-Date"], given["X-Amz-SignedHeaders"],
        given["X-Amz-Signature"], _malformed_link,
    )  # fmt: skip
    _check_expiry(claim, given["X-Amz-Expires"])
    if claim.access_key != access_key:
        raise _unknown_key(claim.access_key)
    if not hmac.compare_digest(given.get("X-Amz-Security-Token", "").encode(), token.encode()):
        raise Refusal(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    _check_signature(request, claim, secret_key)


def check_header(request: S3Request, secret_keys: Mapping[str, str]) -> None:
    """Check the `Authorization` header of a request.

    Args:
        request: The request.
        secret_keys: The secret of each access key.

    Raises:
        Refusal: As S3 refuses it.

    """
    parts = _AUTHORIZATION.fullmatch((request.header("authorization") or "").strip())
    if parts is None:
        raise _malformed_header("The authorization header is malformed.")
    if request.header("x-amz-content-sha256") is None:
        message = "Missing required header for this request: x-amz-content-sha256"
        raise Refusal(400, "InvalidRequest", message)
    credential, signed, signature = parts.groups()
    timestamp = request.header("x-amz-date") or ""
    claim = _claim(credential, timestamp, signed, signature, _malformed_header)
    if abs(datetime.now(UTC) - claim.time) > _MAX_SKEW:
        message = "The difference between the request time and the current time is too large."
        raise Refusal(403, "RequestTimeTooSkewed", message)
    if claim.access_key not in secret_keys:
        raise _unknown_key(claim.access_key)
    _check_signature(request, claim, secret_keys[claim.access_key])


def check_body(request: S3Request, body: bytes) -> None:
    """Check that the body is the one that was signed, if it was.

    Raises:
        Refusal: If it is another one.

    """
    signed = request.header("x-amz-content-sha256")
    if signed is None or not re.fullmatch("[0-9a-f]{64}", signed):
        return  # UNSIGNED-PAYLOAD, or signed in chunks, whose signatures are not checked
    if hashlib.sha256(body).hexdigest() != signed:
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise Refusal(400, "XAmzContentSHA256Mismatch", message)


class _Signer(S3SigV4QueryAuth):
    """botocore's signer, which signs the headers that a request has, and no others."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        headers: HTTPHeaders = request.headers
        return headers


def _check_signature(request: S3Request, claim: _Claim, secret_key: str) -> None:
    must_be_signed = {name for name, _ in request.headers if name.startswith("x-amz-")} | {"host"}
    if unsigned := sorted(must_be_signed - set(claim.signed_headers)):
        raise access_denied(
            "There were headers present in the request which were not signed",
            {"HeadersNotSigned": ", ".join(unsigned)},
        )
    expected = _signature(request, claim, secret_key)
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise Refusal(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check"
            " your key and signing method.",
            {"AWSAccessKeyId": claim.access_key},
        )


def _signature(request: S3Request, claim: _Claim, secret_key: str) -> str:
    credentials = BotocoreCredentials(claim.access_key, secret_key)
    signer = _Signer(credentials, claim.service, claim.region)
    expected = AWSRequest(
        request.method,
        f"http://any{request.canonical_path}",
        params=[each for each in request.query if each[0] != "X-Amz-Signature"],  # type: ignore[arg-type]  # pairs do, and may repeat a name
    )
    for name in claim.signed_headers:
        values = [value for each, value in request.headers if each == name]
        expected.headers[name] = ",".join(values)
    expected.context["timestamp"] = f"{claim.time:%Y%m%dT%H%M%SZ}"
    to_sign = signer.string_to_sign(expected, signer.canonical_request(expected))
    signature: str = signer.signature(to_sign, expected)
    return signature


def _claim(
    credential: str,
    timestamp: str,
    signed_headers: str,
    signature: str,
    malformed: Callable[[str], Refusal],
) -> _Claim:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise malformed("The credential must be KEY/YYYYMMDD/REGION/s3/aws4_request.")
    access_key, date, region, service, _ = parts
    try:
        time = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise malformed("X-Amz-Date must be in the ISO8601 Long Format yyyyMMddTHHmmssZ.") from None
    if date != timestamp[:8]:
        raise malformed("The credential must have the date of X-Amz-Date.")
    names = tuple(signed_headers.lower().split(";"))
    return _Claim(access_key, region, service, time, names, signature)


def _check_expiry(claim: _Claim, expires: str) -> None:
    if not expires.isdecimal():
        raise _malformed_link("X-Amz-Expires should be a number")
    if int(expires) > _MAX_EXPIRES_S:
        raise _malformed_link(
            f"X-Amz-Expires must be less than a week (in seconds): at most {_MAX_EXPIRES_S}"
        )
    now = datetime.now(UTC)
    if claim.time > now + _MAX_SKEW:
        raise access_denied("Request is not yet valid")
    ends_at = claim.time + timedelta(seconds=int(expires))
    if now > ends_at:
        details = {
            "X-Amz-Expires": expires,
            "Expires": f"{ends_at:%Y-%m-%dT%H:%M:%SZ}",
            "ServerTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        }
        raise access_denied("Request has expired", details)


def _malformed_link(message: str) -> Refusal:
    return Refusal(400, "AuthorizationQueryParametersError", message)


def _malformed_header(message: str) -> Refusal:
    return Refusal(400, "AuthorizationHeaderMalformed", message)


def _unknown_key(access_key: str) -> Refusal:
    message = "The AWS Access Key Id you provided does not exist in our records."
    return Refusal(403, "InvalidAccessKeyId", message, {"AWSAccessKeyId": access_key})
