"""A request to a service of AWS."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a service of AWS.

    `service` is the service's name in the credential scope; `path` is decoded; the names of
    `headers` are in lower case.
    """

    service: str
    region: str
    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def operation(self) -> str:
        """The operation in the header `X-Amz-Target`, or empty."""
        return self.headers.get("x-amz-target", "").rpartition(".")[2]
