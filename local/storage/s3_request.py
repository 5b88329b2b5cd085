"""A request to the embedded AWS, as far as its signature and CORS look at it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from local.iam.unsigned_requests import is_for_users
from local.server.hosts import bucket_in


@dataclass(frozen=True)
class S3Request:
    """A request without its body.

    Attributes:
        method: In upper case.
        path: As it was sent.
        query_string: As it was sent.
        headers: The name in lower case, and the value, of each.

    """

    method: str
    path: str
    query_string: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def from_scope(cls, scope: dict[str, Any]) -> Self:
        """Return the request of an ASGI scope."""
        return cls(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in scope["headers"]
            ),
        )

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the query, decoded."""
        return parse_qsl(self.query_string, keep_blank_values=True)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The parameters of the query, the last of each name."""
        return dict(self.query)

    def header(self, name: str) -> str | None:
        """Return the value of a header, or `None` without it."""
        return next((value for each, value in self.headers if each == name), None)

    @property
    def canonical_path(self) -> str:
        """The path as Signature Version 4 has it: each character encoded in one way."""
        return quote(unquote_to_bytes(self.path), safe="/~")

    def path_with_bucket(self, allowed: frozenset[str]) -> str:
        """Return the path that begins with the bucket, also if the bucket is in the host name.

        Args:
            allowed: The names of this machine, in addition to the loopback ones.

        """
        bucket = bucket_in(self.header("host") or "", allowed)
        return f"/{bucket}{self.path}" if bucket else self.path

    @property
    def service(self) -> str:
        """The service that the credential's scope names; without any Cognito, or S3."""
        parts = self._credential
        if parts == [""] and is_for_users(
            self.header("x-amz-target"), self.header("host"), self.path
        ):
            return "cognito-idp"
        return parts[3].lower() if len(parts) > 4 else "s3"

    @property
    def region(self) -> str:
        """The region that the credential's scope names."""
        parts = self._credential
        return parts[2] if len(parts) > 4 else "us-east-1"

    @cached_property
    def _credential(self) -> list[str]:
        """KEY/DATE/REGION/SERVICE/aws4_request, divided."""
        credential = self.parameters.get("X-Amz-Credential", "")
        if (authorization := self.header("authorization")) is not None:
            credential = authorization.partition("Credential=")[2].partition(",")[0]
        return credential.split("/")
