"""Read who signed a request: the id of the access key, the service and the region."""

import re
from collections.abc import Mapping
from typing import NamedTuple

# Signature Version 4: <key>/<date>/<region>/<service>/aws4_request.
_SCOPE = re.compile(r"([^/\s=]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")


class Signer(NamedTuple):
    """An access key id, and the region and the service that it signed for."""

    access_key: str
    region: str
    service: str


def signer_of(headers: Mapping[str, str], query: Mapping[str, str]) -> Signer | None:
    """Return who signed a request or a presigned link; `None` if nobody did.

    Args:
        headers: The headers, by their names in lower case.
        query: The query, decoded.

    """
    credential = headers.get("authorization", "") or query.get("X-Amz-Credential", "")
    scope = _SCOPE.search(credential)
    return Signer(*scope.groups()) if scope else None
