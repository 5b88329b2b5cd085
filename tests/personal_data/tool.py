"""The operator's tool on the embedded tables, run as its command line."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personal_data.__main__ import main
from tests.support.backend import Backend


@dataclass(frozen=True)
class Tool:
    """The tool, pointed at one deployment."""

    names: list[str]

    @classmethod
    def of(cls, backend: Backend) -> "Tool":
        """Point it at the embedded tables and bucket."""
        return cls(
            [
                "--messages-table=ChatMessages",
                "--connections-table=ChatConnections",
                f"--bucket={backend.bucket}",
                f"--websocket-url={backend.api.url}",
            ]
        )

    def __call__(self, command: str, *options: str, rate: int = 1_000_000) -> int:
        """Run a command; return its exit status."""
        return main([command, f"--rate={rate}", *self.names, *options])


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]
