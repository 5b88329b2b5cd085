"""The errors that a client can receive.

The leaves carry the wire's ``code`` and the status that mirrors it::

    ChatError
    ├── InvalidRequest    invalid_request   400
    ├── Unauthorized      unauthorized      401
    ├── Forbidden         forbidden         403
    ├── NotFound          not_found         404
    ├── TooLarge          too_large         413
    ├── UnsupportedType   unsupported_type  415
    └── Unavailable       unavailable       503, with retryAfterMs

Any other exception is a fault of this backend, not of the client: it propagates, is logged with its
traceback, and reaches the client as ``internal`` (500). See `chat.websocket.handler`.
"""

from typing import ClassVar


class ChatError(Exception):
    """A refusal that is sent to the client: a sentence for a person that says what to change.

    Attributes:
        retry_after_ms: How long the client should wait, in milliseconds, if waiting may help.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    retry_after_ms: ClassVar[int | None] = None

    def __init_subclass__(cls, *, code: str, status: int) -> None:
        cls.code, cls.status = code, status


class InvalidRequest(ChatError, code="invalid_request", status=400):
    """The request is not of the agreed form."""


class Unauthorized(ChatError, code="unauthorized", status=401):
    """The user is not known, or not proven."""


class Forbidden(ChatError, code="forbidden", status=403):
    """The user is known, and is not allowed to do this."""


class NotFound(ChatError, code="not_found", status=404):
    """There is no such file."""


class TooLarge(ChatError, code="too_large", status=413):
    """More bytes than this deployment takes."""


class UnsupportedType(ChatError, code="unsupported_type", status=415):
    """A content type, or an encoding of a file, that this deployment does not take."""


class Unavailable(ChatError, code="unavailable", status=503):
    """An AWS service failed or did not answer in time. The same request may succeed later."""

    retry_after_ms = 1000
