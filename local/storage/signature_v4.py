"""Signature Version 4: what a request says about its signature, and what that should be.

botocore's signer computes it:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest, HTTPHeaders
from botocore.credentials import Credentials as BotocoreCredentials

from local.storage.refusals import Refusal, access_denied
from local.storage.s3_request import S3Request


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its own signature."""

    access_key: str
    region: str
    service: str
    time: datetime
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def timestamp(self) -> str:
        """The time as it is signed."""
        return f"{self.time:%Y%m%dT%H%M%SZ}"


class _Signer(S3SigV4QueryAuth):
    """botocore's signer, which signs the headers that a request has, and no others."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        headers: HTTPHeaders = request.headers
        return headers


def claim_of(
    credential: str,
    timestamp: str,
    signed_headers: str,
    signature: str,
    malformed: Callable[[str], Refusal],
) -> Claim:
    """Return what a request says about its signature.

    Args:
        credential: KEY/DATE/REGION/SERVICE/aws4_request.
        timestamp: When it was signed, as in `X-Amz-Date`.
        signed_headers: The names of the signed headers, divided by semicolons.
        signature: The signature, in hexadecimal digits.
        malformed: Returns the refusal for a value of another form, with a sentence.

    Raises:
        Refusal: If a value has another form.

    """
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
    return Claim(access_key, region, service, time, names, signature)


def check_signature(request: S3Request, claim: Claim, secret_key: str) -> None:
    """Check the signature of a request, and that it covers all that it has to.

    Raises:
        Refusal: If it has another signature, or a header that must be signed and is not.

    """
    must_be_signed = {name for name, _ in request.headers if name.startswith("x-amz-")} | {"host"}
    if unsigned := sorted(must_be_signed - set(claim.signed_headers)):
        raise access_denied(
            "There were headers present in the request which were not signed",
            {"HeadersNotSigned": ", ".join(unsigned)},
        )
    canonical = AWSRequest(
        request.method,
        f"http://any{request.canonical_path}",
        params=[each for each in request.query if each[0] != "X-Amz-Signature"],  # type: ignore[arg-type]  # pairs do, and may repeat a name
    )
    for name in claim.signed_headers:
        values = [value for each, value in request.headers if each == name]
        canonical.headers[name] = ",".join(values)
    canonical.context["timestamp"] = claim.timestamp
    signer = _signer(claim, secret_key)
    to_sign = signer.string_to_sign(canonical, signer.canonical_request(canonical))
    compare(claim, secret_key, to_sign)


def compare(claim: Claim, secret_key: str, to_sign: str) -> None:
    """Check that a text has the signature that its sender claims.

    Raises:
        Refusal: If it has another one.

    """
    request = AWSRequest()
    request.context["timestamp"] = claim.timestamp
    expected = _signer(claim, secret_key).signature(to_sign, request)
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise Refusal(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check"
            " your key and signing method.",
            {"AWSAccessKeyId": claim.access_key},
        )


def _signer(claim: Claim, secret_key: str) -> _Signer:
    credentials = BotocoreCredentials(claim.access_key, secret_key)
    return _Signer(credentials, claim.service, claim.region)
