"""Templates in the shapes that other projects have: each runs, or names what does not."""

import json
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.runner import local_runner

TEMPLATES = Path(__file__).with_name("templates")


def ask(client: ClientConnection, **body: Any) -> Any:
    client.send(json.dumps(body))
    return json.loads(client.recv(timeout=20))


def test_unquoted_dates_text_numbers_and_a_missing_code_uri_run() -> None:
    with (
        local_runner(template=TEMPLATES / "unquoted" / "template.yaml") as run,
        connect(run.url) as client,
    ):
        assert ask(client) == {
            "date": "2012-10-17",
            "memory": "256",
            "seconds": 7,
            "capacity": [5, 6],
            "ttl": "ENABLED",
        }
    assert not any("Not imitated" in line for line in run.lines)
