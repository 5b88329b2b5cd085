"""The document is AsyncAPI, agrees with itself, and with the numbers in the code."""

import json
import re
import subprocess
import sys
import tarfile
import tomllib
from typing import Any

import pytest
from jsonschema import Draft7Validator

from chat import catch_up, client_frame, errors, file_keys, files, history, server_frames
from local.gateway import gateway
from local.gateway.limits import (
    MAX_FRAME_BYTES,
    MAX_HEAD_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_URL_CHARACTERS,
    Lifetimes,
)
from local.template.transform import read
from tests.support import document
from tests.support.backend import ROOT
from tests.support.document import CHAT, DOCUMENT, SCHEMAS

SPECIFICATION = "@asyncapi/specs@6.11.1"
"""AsyncAPI's own schemas of its documents, as npm has them."""

TEMPLATE = read(ROOT / "template-python.yaml")


@pytest.fixture(scope="module")
def asyncapi(tmp_path_factory: pytest.TempPathFactory) -> Draft7Validator:
    folder = tmp_path_factory.mktemp("npm")
    subprocess.run(["npm", "pack", "--silent", SPECIFICATION], cwd=folder, check=True)
    (package,) = folder.glob("*.tgz")
    with tarfile.open(package) as files_in_it:
        schema = files_in_it.extractfile("package/schemas/3.0.0-without-$id.json")
        assert schema is not None
        return Draft7Validator(json.load(schema))


def test_document_is_valid_asyncapi(asyncapi: Draft7Validator) -> None:
    assert [error.message for error in asyncapi.iter_errors(DOCUMENT)] == []
    assert not asyncapi.is_valid(DOCUMENT | {"operations": {"sendMessage": {"action": "dance"}}})


def test_schemas_are_valid_json_schema() -> None:
    for schema in SCHEMAS.values():
        Draft7Validator.check_schema(schema)


def references(value: Any) -> list[dict[str, str]]:
    if isinstance(value, list):
        return [found for each in value for found in references(each)]
    if not isinstance(value, dict):
        return []
    own = [value] if "$ref" in value else []
    return own + [found for each in value.values() for found in references(each)]


def test_every_reference_has_a_target_and_no_siblings() -> None:
    for reference in references(DOCUMENT):
        document.ref_of(reference)
        # Draft 07 ignores its siblings.
        assert reference.keys() == {"$ref"}


def test_every_schema_is_used() -> None:
    used = {reference["$ref"] for reference in references(DOCUMENT)}
    names = SCHEMAS.keys() - {"ClientFrame", "ServerFrame"}
    assert {f"#/components/schemas/{name}" for name in names} <= used


def payloads(references: list[dict[str, str]]) -> list[str]:
    return [document.ref_of(reference)["payload"]["$ref"] for reference in references]


def test_unions_list_the_frames_of_all_operations() -> None:
    directions: dict[str, set[str]] = {"receive": set(), "send": set()}
    for operation in DOCUMENT["operations"].values():
        if document.ref_of(operation["channel"]) is not CHAT:
            continue
        directions[operation["action"]].update(payloads(operation["messages"]))
        directions["send"].update(payloads(operation.get("reply", {}).get("messages", [])))
    for action, union in (("receive", "ClientFrame"), ("send", "ServerFrame")):
        assert directions[action] == {each["$ref"] for each in SCHEMAS[union]["oneOf"]}
    every = directions["receive"] | directions["send"]
    assert every == set(payloads(list(CHAT["messages"].values())))


def test_client_frames_are_open_and_server_frames_are_closed() -> None:
    for union, is_open in (("ClientFrame", True), ("ServerFrame", False)):
        for reference in SCHEMAS[union]["oneOf"]:
            schema = document.ref_of(reference)
            is_ours = schema is not SCHEMAS["GatewayError"]
            assert schema["additionalProperties"] is (is_open or not is_ours)


def test_examples_of_frames_are_valid() -> None:
    received = [each["$ref"] for each in SCHEMAS["ServerFrame"]["oneOf"]]
    for message in map(document.ref_of, CHAT["messages"].values()):
        union = "ServerFrame" if message["payload"]["$ref"] in received else "ClientFrame"
        for example in message["examples"]:
            document.validator(message["payload"]).validate(example["payload"])
            document.named(union).validate(example["payload"])


def test_example_of_a_notification_is_valid() -> None:
    message = DOCUMENT["components"]["messages"]["Notification"]
    (example,) = message["examples"]
    document.validator(message["payload"]).validate(example["payload"])


def schemas_within(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for each in value for found in schemas_within(each)]
    if not isinstance(value, dict):
        return []
    own = [value] if isinstance(value.get("examples"), list) else []
    return own + [found for each in value.values() for found in schemas_within(each)]


def test_examples_of_fields_are_valid() -> None:
    found = schemas_within([SCHEMAS, CHAT["bindings"]])
    assert len(found) > 5
    for schema in found:
        for example in schema["examples"]:
            document.validator(schema).validate(example)


def test_error_codes_equal_those_of_the_code() -> None:
    documented = {each["const"]: each["x-status"] for each in SCHEMAS["ErrorCode"]["oneOf"]}
    in_code = {each.code: each.status for each in errors.ChatError.__subclasses__()}
    # What is none of them: see chat/websocket.py.
    assert documented == in_code | {"internal": 500}


def test_gateway_errors_equal_those_of_the_local_runner() -> None:
    assert set(SCHEMAS["GatewayError"]["properties"]["message"]["examples"]) == {
        gateway.FORBIDDEN,
        gateway.INTERNAL_SERVER_ERROR,
        gateway.TOO_MANY_REQUESTS,
    }


def test_limits_equal_those_of_the_code_and_the_template() -> None:
    parameters, lifetimes = TEMPLATE["Parameters"], Lifetimes()
    assert CHAT["x-limits"] == {
        "urlCharacters": MAX_URL_CHARACTERS,
        "headBytes": MAX_HEAD_BYTES,
        "frameBytes": MAX_FRAME_BYTES,
        "messageBytes": MAX_MESSAGE_BYTES,
        "idleSeconds": lifetimes.idle_timeout_s,
        "connectionSeconds": lifetimes.max_duration_s,
        "connectionsPerUser": parameters["MaxConnectionsPerUser"]["Default"],
        "framesPerSecond": parameters["MaxFramesPerSecond"]["Default"],
        "fileBytes": parameters["MaxFileBytes"]["Default"],
        "fileKeyBytes": file_keys._MAX_KEY_BYTES,
        "linkSeconds": files.LINK_LIFETIME_S,
        "sendableSeconds": files.SENDABLE_FOR.total_seconds(),
        "batchBytes": server_frames.MAX_BATCH_BYTES,
        "catchUpMessages": catch_up._MAX_MESSAGES,
        "catchUpOverlapMilliseconds": catch_up.OVERLAP_MS,
    }
    assert SCHEMAS["Synced"]["properties"]["count"]["maximum"] == catch_up._MAX_MESSAGES
    of_page = SCHEMAS["GetMessagesOfChat"]["properties"]
    assert of_page["limit"]["maximum"] == history._MAX_LIMIT
    assert of_page["limit"]["default"] == history._DEFAULT_LIMIT
    assert of_page["before"]["maximum"] == client_frame.MAX_TIMESTAMP
    assert SCHEMAS["History"]["properties"]["messages"]["maxItems"] == history._MAX_LIMIT
    assert SCHEMAS["Size"]["maximum"] == parameters["MaxFileBytes"]["MaxValue"]
    assert str(parameters["MaxFileBytes"]["Default"]) in SCHEMAS["Size"]["description"]
    of_type = SCHEMAS["AskToUpload"]["properties"]["contentType"]
    assert ",".join(of_type["examples"]) == parameters["AllowedContentTypes"]["Default"]


def test_version_equals_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["version"] == project["version"]
    assert DOCUMENT["info"]["license"]["name"] == project["license"]


def test_address_equals_the_output_of_the_stack() -> None:
    output = TEMPLATE["Outputs"]["WebSocketURI"]["Value"]["Fn::Sub"]
    deployed = DOCUMENT["servers"]["deployed"]
    url = f"{deployed['protocol']}://{deployed['host']}{deployed['pathname']}"
    in_terms_of_the_template = {
        "{apiId}": "${ChatApi}",
        "{region}": "${AWS::Region}",
        "amazonaws.com": "${AWS::URLSuffix}",
    }
    for ours, theirs in in_terms_of_the_template.items():
        url = url.replace(ours, theirs)
    assert url == output


def test_blank_characters_are_those_of_the_code() -> None:
    """The pattern reaches to U+FFFF, the description of the document further."""
    (blank,) = (
        each["pattern"] for each in SCHEMAS["Text"]["allOf"] if "blank" in each["description"]
    )
    said = DOCUMENT["info"]["description"].partition("the others are")[2].partition(".")[0]
    ends = [int(each, 16) for each in re.findall(r"[0-9A-F]{5}", said)]
    further = [range(first, last + 1) for first, last in zip(ends[::2], ends[1::2], strict=True)]
    for code_point in range(sys.maxunicode + 1):
        character = chr(code_point)
        is_blank = client_frame.is_blank(character)
        if code_point <= 0xFFFF:
            assert bool(re.search(blank, character)) is not is_blank
        else:
            assert is_blank is any(code_point in each for each in further)
