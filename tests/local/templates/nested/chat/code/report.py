import json
import os
from typing import Any


def handler(_event: Any, context: Any) -> dict[str, Any]:
    report = {name: os.environ[name] for name in ("TABLE", "GREETING", "COLOR")}
    return {"statusCode": 200, "body": json.dumps({**report, "NAME": context.function_name})}
