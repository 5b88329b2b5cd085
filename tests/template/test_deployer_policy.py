"""`docs/deployer-policy.json`, against what CloudFormation calls for each resource."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from local.template.transform import to_cloudformation
from tests.support.backend import ROOT

POLICY: dict[str, Any] = json.loads((ROOT / "docs" / "deployer-policy.json").read_text())
SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
# Of features that the template does not use, and that need other services.
UNUSED = {
    "ec2", "elasticfilesystem", "firehose", "kinesis", "s3files", "s3tables",
    # The tables are encrypted with the key `aws/dynamodb`, whose own policy allows it:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
    "kms",
}  # fmt: skip


def types() -> set[str]:
    document, _ = to_cloudformation(ROOT / "template-python.yaml", {}, "us-east-1")
    return {resource["Type"] for resource in document["Resources"].values()}


def called() -> Iterator[tuple[str, str]]:
    """Yield the types of the template with each action that CloudFormation may call for it."""
    ours, missing = types(), types()
    for path in SCHEMAS.glob("*.json"):
        schema = json.loads(path.read_text())
        if schema.get("typeName") in ours:
            missing.discard(schema["typeName"])
            handlers = schema["handlers"]
            for name in handlers.keys() & {"create", "read", "update", "delete"}:
                yield from ((schema["typeName"], each) for each in handlers[name]["permissions"])
    assert not missing


def allowed() -> set[str]:
    statements = POLICY["Statement"]
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    actions = [statement["Action"] for statement in statements]
    return {each for entry in actions for each in ([entry] if isinstance(entry, str) else entry)}


def test_policy_allows_what_cloudformation_calls_for_each_type_of_resource() -> None:
    patterns = allowed()
    denied = {
        (kind, action)
        for kind, action in called()
        if action.partition(":")[0] not in UNUSED
        and not any(fnmatchcase(action, pattern) for pattern in patterns)
    }
    assert not denied


@pytest.mark.parametrize("statement", POLICY["Statement"], ids=lambda statement: statement["Sid"])
def test_statement_names_resources_unless_its_actions_have_none(statement: dict[str, Any]) -> None:
    resources = statement["Resource"]
    if resources == "*":
        assert not [each for each in statement["Action"] if each.endswith("*")]
    for each in [resources] if isinstance(resources, str) else resources:
        assert each == "*" or re.match(r"arn:aws:[a-z0-9]+:", each)
