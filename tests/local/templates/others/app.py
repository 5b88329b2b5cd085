"""Functions that no route needs, one of which waits when it is imported."""

import json
import os
import time
from pathlib import Path
from typing import Any

import boto3

if os.environ["AWS_LAMBDA_FUNCTION_NAME"] == "local-Waiting":
    while not Path(os.environ["GATE"]).exists():
        time.sleep(0.05)
if os.environ["AWS_LAMBDA_FUNCTION_NAME"] == "local-ZBroken":
    raise KeyError("MISSING")


def ask(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    answer = boto3.client("lambda").invoke(FunctionName="local-ZCalled", Payload="{}")
    return {"statusCode": 200, "body": answer["Payload"].read().decode()}


def called(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    return {"called": json.dumps(os.environ["AWS_LAMBDA_FUNCTION_NAME"])}
