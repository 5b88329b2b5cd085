"""docs/protocol.md and docs/asyncapi.yaml describe the same protocol."""

import json
import re

import pytest

from tests.support import document
from tests.support.backend import ROOT
from tests.support.document import CHAT, SCHEMAS, ref_of

PROTOCOL_MD = (ROOT / "docs" / "protocol.md").read_text()


def section(title: str) -> str:
    """Return the text under a heading."""
    return PROTOCOL_MD.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_column(title: str) -> list[str]:
    _head, _line, *rows = re.findall(r"^\| ([^|]+?) \|", section(title), re.MULTILINE)
    return rows


def test_protocol_md_lists_every_field_of_the_server_frames() -> None:
    rows = re.findall(r'^\| `\{"type":"(\w+)",(.+)\}` \|', PROTOCOL_MD, re.MULTILINE)
    in_protocol_md = {
        (kind, frozenset(re.findall(r'"(\w+)"(?=[,:]|$)', rest)) - {"sendmessage", "sendfile"})
        for kind, rest in rows
    }
    in_asyncapi = {
        (schema["properties"]["type"]["const"], frozenset(schema["properties"]) - {"type"})
        for schema in map(ref_of, SCHEMAS["ServerFrame"]["oneOf"])
        if "type" in schema["properties"]
    }
    assert in_protocol_md == in_asyncapi


def test_protocol_md_lists_every_field_of_the_client_frames() -> None:
    sends = section("What a client sends")
    for schema in map(ref_of, SCHEMAS["ClientFrame"]["oneOf"]):
        for name in schema["properties"].keys() - {"action"}:
            assert f"`{name}`" in sends


def test_protocol_md_lists_every_error_code_and_its_status() -> None:
    assert [row.split("`")[1:] for row in first_column("Errors")] == [
        [each["const"], f" ({each['x-status']})"] for each in SCHEMAS["ErrorCode"]["oneOf"]
    ]


def test_protocol_md_lists_every_handshake_status_and_close_code() -> None:
    statuses = re.findall(r"\b\d{3}\b", " ".join(first_column("Connecting")))
    assert {*statuses, "101"} == CHAT["x-handshake"].keys()
    assert first_column("How a connection ends") == list(CHAT["x-close-codes"])


def test_protocol_md_lists_every_error_of_api_gateway() -> None:
    words = [row.strip("`") for row in first_column("What API Gateway says itself")]
    assert words == SCHEMAS["GatewayError"]["properties"]["message"]["examples"]


SHOWN = re.findall(r"^    .*[→←] (\{.*\})", PROTOCOL_MD, re.MULTILINE)


@pytest.mark.parametrize("line", [line for line in SHOWN if ", …" not in line and ",…" not in line])
def test_frame_shown_in_protocol_md_matches_its_schema(line: str) -> None:
    full = line.replace("0ed1…", "0ed1a8c2-9d5f-4a43-8a8e-000000000001")
    full = full.replace("3579…", "3579c948-e814-4761-8690-2708859e7d0a")
    frame = json.loads(full)
    union = "ServerFrame" if "type" in frame else "ClientFrame"
    document.named(union).validate(frame)
