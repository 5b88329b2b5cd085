"""Check the policy of an upload by a form (`generate_presigned_post`) as S3 does.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local.storage.refusals import Refusal, access_denied
from local.storage.s3_request import S3Request

_WITHOUT_CONDITION = {"file", "policy", "x-amz-signature"}


def is_form(request: S3Request) -> bool:
    """Return whether a request is an upload by a form."""
    content_type = request.header("content-type") or ""
    return request.method == "POST" and content_type.startswith("multipart/form-data")


def check_policy(fields: Mapping[str, str], size: int) -> None:
    """Check that a form is what its policy allows; the signature is checked elsewhere.

    Args:
        fields: The fields of the form but the file, with the bucket, their names in lower case.
        size: How many bytes the file has.

    Raises:
        Refusal: If the policy has expired, or does not allow a field or the size.

    """
    try:
        policy = json.loads(base64.b64decode(fields["policy"]))
        ends_at = datetime.fromisoformat(policy["expiration"])
        conditions = policy["conditions"]
    except (ValueError, KeyError, TypeError):
        message = "The content of the form does not meet the conditions: Invalid Policy."
        raise Refusal(400, "InvalidPolicyDocument", message) from None
    if datetime.now(UTC) > ends_at:
        raise access_denied("Invalid according to Policy: Policy expired.")
    named = set()
    for condition in conditions:
        if isinstance(condition, list) and condition[0] == "content-length-range":
            _check_size(size, int(condition[1]), int(condition[2]))
            continue
        kind, name, value = _parts(condition)
        named.add(name)
        given = fields.get(name, "")
        if not (given.startswith(value) if kind == "starts-with" else given == value):
            text = json.dumps([kind, f"${name}", value])
            raise access_denied(f"Invalid according to Policy: Policy Condition failed: {text}")
    for name in fields.keys() - named - _WITHOUT_CONDITION:
        if name != "bucket" and not name.startswith("x-ignore-"):
            raise access_denied(f"Invalid according to Policy: Extra input fields: {name}")


def _parts(condition: Any) -> tuple[str, str, str]:
    if isinstance(condition, dict):
        ((name, value),) = condition.items()
        return "eq", name.lower(), value
    kind, name, value = condition
    return kind, name.removeprefix("$").lower(), value


def _check_size(size: int, smallest: int, largest: int) -> None:
    if size < smallest:
        message = "Your proposed upload is smaller than the minimum allowed size."
        raise Refusal(400, "EntityTooSmall", message)
    if size > largest:
        message = "Your proposed upload exceeds the maximum allowed size."
        raise Refusal(400, "EntityTooLarge", message)
