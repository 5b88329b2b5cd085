"""A file that was uploaded, as messages and links refer to it."""

from __future__ import annotations

from dataclasses import dataclass

from chat.file_keys import name_in


@dataclass(frozen=True, slots=True)
class File:
    """A file that was uploaded.

    Attributes:
        content_type: As it was signed for the upload, in lower case.
        size: Its length in bytes.
    """

    key: str
    content_type: str
    size: int

    @property
    def name(self) -> str:
        """The name that its uploader gave it."""
        return name_in(self.key)
