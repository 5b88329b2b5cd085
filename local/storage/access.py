"""Decide which requests reach the embedded AWS: those of this machine, and what a link allows."""

from collections.abc import Mapping
from urllib.parse import unquote

from local.credentials import Credentials
from local.iam.unsigned_requests import is_issuer_document
from local.server.hosts import LOOPBACK, is_ours
from local.storage.refusals import Refusal, access_denied
from local.storage.s3_forms import check_policy, is_form
from local.storage.s3_request import S3Request
from local.storage.s3_signatures import check_form, check_header, check_link, is_presigned

_MAX_HEADER_BYTES = 8192
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html"""
_CONTROL_PATHS = ("/moto-api", "/favicon.ico", "/latest/meta-data/", "/latest/api/")
"""Where moto serves what AWS has not: its reset, its records, the metadata of machines."""


class Access:
    """The rules of one listener.

    A link of S3 needs its signature alone. Every other call comes from this machine, has an
    `Authorization` header, or is one of Cognito's that needs none, and has no `Origin`,
    which browsers add to what a page sends. The signature
    in that header is checked for S3 alone: the others would cost time, and refuse nobody.

    Args:
        credentials: Those of the functions. Their token is in links, and nobody can guess it.
        hosts: The names of this machine, in addition to the loopback ones.

    """

    def __init__(self, credentials: Credentials, hosts: frozenset[str]) -> None:
        self._credentials = credentials
        self._hosts = hosts
        # `test` is what tools expect that talk to emulators of AWS.
        self._secret_keys = {credentials.access_key: credentials.secret_key, "test": "test"}

    def check(self, request: S3Request, *, peer: str, own_address: str) -> None:
        """Check a request before its body arrives.

        Args:
            request: The request.
            peer: The address that it came from.
            own_address: The address that it came to.

        Raises:
            Refusal: As AWS refuses it, or because it has no business here.

        """
        host = request.header("host") or ""
        # Functions ask for the keys of tokens at the host of their issuer.
        if not is_ours(host, self._hosts) and not is_issuer_document(host, request.path):
            message = "The Host header names another machine than this one: see --host."
            raise access_denied(message)
        if unquote(request.path_with_bucket(self._hosts)).startswith(_CONTROL_PATHS):
            raise Refusal(404, "NotFound", "AWS has no such path.")
        is_local = peer in LOOPBACK or peer == own_address
        if request.service != "s3":
            self._check_caller(request, is_local=is_local)
        elif request.method != "OPTIONS":
            self._check_s3(request, is_local=is_local)

    def check_form(self, fields: Mapping[str, str], size: int) -> None:
        """Check an upload by a form, when its body is there.

        Args:
            fields: The fields but the file, with the bucket, their names in lower case.
            size: How many bytes the file has.

        Raises:
            Refusal: As S3 refuses it.

        """
        token = self._credentials.session_token or ""
        check_form(fields, self._credentials.access_key, self._credentials.secret_key, token)
        check_policy(fields, size)

    def _check_s3(self, request: S3Request, *, is_local: bool) -> None:
        size = sum(len(name) + len(value) + 4 for name, value in request.headers)
        if size > _MAX_HEADER_BYTES:
            raise Refusal(
                400,
                "RequestHeaderSectionTooLarge",
                "Your request header section exceeds the maximum allowed size.",
                {"MaxSizeAllowed": str(_MAX_HEADER_BYTES)},
            )
        if request.method == "PUT" and request.header("content-length") is None:
            message = "You must provide the Content-Length HTTP header."
            raise Refusal(411, "MissingContentLength", message)
        if is_presigned(request):
            credentials = self._credentials
            token = credentials.session_token or ""
            check_link(request, credentials.access_key, credentials.secret_key, token)
        elif request.header("authorization") is None and is_form(request):
            return  # its signature is in the body
        elif request.header("authorization") is None:  # for the public, and no bucket here is
            raise access_denied("Access Denied")
        else:
            self._check_caller(request, is_local=is_local)
            check_header(request, self._secret_keys)

    @staticmethod
    def _check_caller(request: S3Request, *, is_local: bool) -> None:
        # Without one it is Cognito's only if it needs none.
        is_unsigned = request.service == "cognito-idp"
        if request.header("authorization") is None and not is_unsigned:
            message = "Missing Authentication Token"
            raise Refusal(403, "MissingAuthenticationTokenException", message)
        if request.header("origin") is not None:
            raise access_denied("Web pages may use links of S3 alone.")
        if not is_local:
            raise access_denied("Other machines may use links of S3 alone.")
