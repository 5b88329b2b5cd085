"""Users that no other test has: a backend outlives a test, and may have users already."""

from dataclasses import dataclass
from typing import Self
from uuid import uuid4


@dataclass(frozen=True)
class Pair:
    """Two users who chat."""

    first: str
    second: str

    @classmethod
    def new(cls, first: str = "user123", second: str = "user456") -> Self:
        """Return two users with these names, each followed by the same random digits."""
        digits = uuid4().hex[:12]
        return cls(f"{first}-{digits}", f"{second}-{digits}")

    @property
    def chat_id(self) -> str:
        return "#".join(sorted((self.first, self.second)))
