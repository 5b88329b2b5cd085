"""The page for people says what the document for machines says."""

import json
import re

import pytest

from tests.support import document
from tests.support.backend import ROOT
from tests.support.document import CHAT, SCHEMAS, ref_of

PAGE = (ROOT / "docs" / "protocol.md").read_text()


def section(title: str) -> str:
    """Give what stands under a heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_column(title: str) -> list[str]:
    _head, _line, *rows = re.findall(r"^\| ([^|]+?) \|", section(title), re.MULTILINE)
    return rows


def test_it_has_every_field_that_a_client_receives() -> None:
    rows = re.findall(r'^\| `\{"type":"(\w+)",(.+)\}` \|', PAGE, re.MULTILINE)
    on_the_page = {kind: {"type", *re.findall(r'"(\w+)"(?=[,:]|$)', rest)} for kind, rest in rows}
    in_the_document = {
        schema["properties"]["type"]["const"]: schema["properties"].keys()
        for schema in map(ref_of, SCHEMAS["ServerFrame"]["oneOf"])
        if "type" in schema["properties"]
    }
    on_the_page = {
        kind: fields - {"sendmessage", "sendfile"} for kind, fields in on_the_page.items()
    }
    assert on_the_page == in_the_document


def test_it_has_every_field_that_a_client_sends() -> None:
    sends = section("What a client sends")
    for schema in map(ref_of, SCHEMAS["ClientFrame"]["oneOf"]):
        for name in schema["properties"].keys() - {"action"}:
            assert f"`{name}`" in sends


def test_it_has_every_error() -> None:
    assert [row.split("`")[1:] for row in first_column("Errors")] == [
        [each["const"], f" ({each['x-status']})"] for each in SCHEMAS["ErrorCode"]["oneOf"]
    ]


def test_it_has_every_status_of_a_handshake_and_every_close_code() -> None:
    statuses = re.findall(r"\b\d{3}\b", " ".join(first_column("Connecting")))
    assert {*statuses, "101"} == CHAT["x-handshake"].keys()
    assert first_column("How a connection ends") == list(CHAT["x-close-codes"])


def test_it_has_what_api_gateway_says() -> None:
    words = [row.strip("`") for row in first_column("What API Gateway says itself")]
    assert words == SCHEMAS["GatewayError"]["properties"]["message"]["examples"]


SHOWN = re.findall(r"^    .*[→←] (\{.*\})", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", [line for line in SHOWN if ", …" not in line and ",…" not in line])
def test_frames_that_it_shows_in_full_are_valid(line: str) -> None:
    full = line.replace("0ed1…", "0ed1a8c2-9d5f-4a43-8a8e-000000000001")
    full = full.replace("3579…", "3579c948-e814-4761-8690-2708859e7d0a")
    frame = json.loads(full)
    union = "ServerFrame" if "type" in frame else "ClientFrame"
    document.named(union).validate(frame)
