"""How far an export has come, in a file of its folder, so that an interrupted one can go on."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from personal_data.errors import PersonalDataError
from personal_data.rows import Row

_NAME = "state.json"


@dataclass(slots=True)
class ExportState:
    """How far an export has come.

    Attributes:
        table: The table of messages, which tells one deployment from another.
        until: The last time that is exported, in milliseconds since 1970.
        scans: Whether the whole table is read.
        step: How many queries, or scans, are complete.
        cursor: Where the next page of the query at `step` begins; none at its beginning.
        length: The bytes of `messages.jsonl` that are complete.
    """

    user_id: str
    table: str
    until: int
    scans: bool
    step: int = 0
    cursor: Row | None = None
    length: int = 0

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the state of an unfinished export; none if the folder has none."""
        try:
            return cls(**json.loads((folder / _NAME).read_text()))
        except FileNotFoundError:
            return None

    def write(self, folder: Path) -> None:
        """Save the state: what a power failure leaves is this one or the one before."""
        write_atomically(folder / _NAME, json.dumps(asdict(self)))

    def remove(self, folder: Path) -> None:
        """Remove the state of a finished export."""
        (folder / _NAME).unlink()

    def truncate(self, messages: Path) -> None:
        """Cut off what was written after the state was saved: it is written again.

        Raises:
            PersonalDataError: The file is shorter than it was when the state was saved.
        """
        messages.touch()
        if messages.stat().st_size < self.length:
            raise PersonalDataError(f"{messages} is damaged. Delete the folder, and start again.")
        os.truncate(messages, self.length)


def write_atomically(path: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
