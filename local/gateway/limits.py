"""API Gateway's limits on WebSocket connections.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""

from dataclasses import dataclass
from http import HTTPStatus

MAX_MESSAGE_BYTES = 128 * 1024
MAX_FRAME_BYTES = 32 * 1024
# Of the whole URL, with its host.
MAX_URL_CHARACTERS = 4096
# Of the request line and the values of all headers. Documented for HTTP APIs; for WebSocket APIs
# nothing is: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_HEAD_BYTES = 10_240


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """When connections are closed: after idle time, and after any time. In seconds."""

    idle_timeout_s: float = 10 * 60
    max_duration_s: float = 2 * 60 * 60


def problem_of_size(
    url: str, request_line_bytes: int, header_bytes: int
) -> tuple[HTTPStatus, str] | None:
    """Return the status and the reason to refuse a handshake for its size, or `None`.

    AWS does not document the statuses; these are what HTTP defines.
    """
    if len(url) > MAX_URL_CHARACTERS:
        too_long = f"its URL has {len(url):,} characters, and may have {MAX_URL_CHARACTERS:,}"
        return HTTPStatus.URI_TOO_LONG, too_long
    total = request_line_bytes + header_bytes
    if total > MAX_HEAD_BYTES:
        too_large = (
            f"its request line and the values of its headers have {total:,} bytes, and may have"
            f" {MAX_HEAD_BYTES:,}: are there large cookies?"
        )
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, too_large
    return None
