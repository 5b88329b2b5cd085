"""Report the environment variables that the template sets."""

import json
import os
from typing import Any


def report(_event: Any, _context: Any) -> dict[str, Any]:
    names = ("IMPORTED", "ANSWER", "STORED", "GIVEN", "CLIENT", "SECRET", "SECURE")
    return {"statusCode": 200, "body": json.dumps({name: os.environ[name] for name in names})}
