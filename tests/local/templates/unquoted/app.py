"""Report what the function and the table got from the template."""

import json
import math
import os
from typing import Any

import boto3


def report(_event: Any, context: Any) -> dict[str, Any]:
    dynamodb = boto3.client("dynamodb")
    table = dynamodb.describe_table(TableName="unquoted")["Table"]
    ttl = dynamodb.describe_time_to_live(TableName="unquoted")["TimeToLiveDescription"]
    throughput = table["ProvisionedThroughput"]
    body = {
        "date": os.environ["DATE"],
        "memory": context.memory_limit_in_mb,
        "seconds": math.ceil(context.get_remaining_time_in_millis() / 1000),
        "capacity": [throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]],
        "ttl": ttl["TimeToLiveStatus"],
    }
    return {"statusCode": 200, "body": json.dumps(body)}
