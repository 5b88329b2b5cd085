"""Check Signature Version 4 as S3 does: in links, `Authorization` headers, and forms.

botocore's signer computes the signature that a request should have.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from local.storage.refusals import Refusal, access_denied
from local.storage.s3_request import S3Request
from local.storage.signature_v4 import Claim, check_signature, claim_of, compare

_ALGORITHM = "AWS4-HMAC-SHA256"
_MAX_EXPIRES_S = 604_800
_MAX_SKEW = timedelta(minutes=15)
_IN_QUERY = ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([^, ]+)"
)


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
    claim = claim_of(
        given["X-Amz-Credential"], given["X-Amz-Date"], given["X-Amz-SignedHeaders"],
        given["X-Amz-Signature"], _malformed_link,
    )  # fmt: skip
    _check_expiry(claim, given["X-Amz-Expires"])
    _check_session(claim, access_key, given.get("X-Amz-Security-Token", ""), token)
    check_signature(request, claim, secret_key)


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
    claim = claim_of(credential, timestamp, signed, signature, _malformed_header)
    if abs(datetime.now(UTC) - claim.time) > _MAX_SKEW:
        message = "The difference between the request time and the current time is too large."
        raise Refusal(403, "RequestTimeTooSkewed", message)
    secret_key = secret_keys.get(_without_function(claim.access_key))
    if secret_key is None:
        raise _unknown_key(claim.access_key)
    check_signature(request, claim, secret_key)


def check_form(fields: Mapping[str, str], access_key: str, secret_key: str, token: str) -> None:
    """Check the signature of a form's policy.

    Args:
        fields: The fields of the form, their names in lower case.
        access_key: The key that signs links.
        secret_key: Its secret.
        token: The token of its session.

    Raises:
        Refusal: As S3 refuses it.

    """
    needed = ("x-amz-credential", "x-amz-date", "x-amz-signature", "policy")
    if any(name not in fields for name in needed):
        raise access_denied("Access Denied")
    credential, timestamp, signature, policy = (fields[name] for name in needed)
    claim = claim_of(credential, timestamp, "", signature, _malformed_header)
    _check_session(claim, access_key, fields.get("x-amz-security-token", ""), token)
    compare(claim, secret_key, policy)


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


def _without_function(access_key: str) -> str:
    """Return an access key without the name of a function, which `Credentials` may have added."""
    return access_key.partition("-")[0]


def _check_session(claim: Claim, access_key: str, given_token: str, token: str) -> None:
    if _without_function(claim.access_key) != access_key:
        raise _unknown_key(claim.access_key)
    if not hmac.compare_digest(given_token.encode(), token.encode()):
        raise Refusal(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")


def _check_expiry(claim: Claim, expires: str) -> None:
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
