"""What the embedded AWS answers to a request that it refuses before moto sees it."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from xml.sax.saxutils import escape

from local.storage.unknown_services import Answer


class Refusal(Exception):
    """A refusal, with the status and the code that S3 has for it.

    The codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. Of the sentences
    and the details, those of signatures are not documented; they are what S3 sends.

    Args:
        status: The HTTP status.
        code: The code of the error.
        message: The sentence with it.
        details: Further elements of S3's answer, by name.

    """

    def __init__(
        self, status: int, code: str, message: str, details: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}

    def as_s3(self) -> Answer:
        """Return the answer in XML, as S3 has it."""
        elements = {"Code": self.code, "Message": self.message, **self.details}
        body = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in elements.items())
        document = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}</Error>'
        return self._status_line(), [("Content-Type", "application/xml")], document.encode()

    def as_json(self) -> Answer:
        """Return the answer in JSON, as DynamoDB has it."""
        body = json.dumps({"__type": self.code, "message": self.message}).encode()
        headers = [
            ("Content-Type", "application/x-amz-json-1.0"),
            ("x-amzn-ErrorType", self.code),
        ]
        return self._status_line(), headers, body

    def _status_line(self) -> str:
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def access_denied(message: str, details: Mapping[str, str] | None = None) -> Refusal:
    """Return a refusal with S3's most common code."""
    return Refusal(403, "AccessDenied", message, details)
