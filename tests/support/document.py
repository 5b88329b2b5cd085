"""What `docs/asyncapi.yaml` says, and whether a frame is as it says."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from jsonschema import Draft7Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from tests.support.backend import ROOT

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
CHAT: dict[str, Any] = DOCUMENT["channels"]["chat"]


# Not one within a class of characters.
_END = re.compile(r"\$(?=\)|$)")


def _pattern(_: Validator, pattern: str, instance: object, __: object) -> Iterator[ValidationError]:
    # ECMA's `$` is the very end of a text. Python's may stand before a last newline.
    if isinstance(instance, str) and not re.search(_END.sub(r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


# The stubs know nothing of its arguments.
_Draft7: type[Validator] = extend(Draft7Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


def validator(schema: object) -> Validator:
    """Make a validator of a schema that may refer to the document's components."""
    return _Draft7({"allOf": [schema], "components": DOCUMENT["components"]})


def named(name: str) -> Validator:
    """Make a validator of one of the document's schemas."""
    return validator({"$ref": f"#/components/schemas/{name}"})


def ref_of(reference: dict[str, str]) -> Any:
    """Follow a ``$ref`` into the document, and on."""
    found: Any = DOCUMENT
    for step in reference["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return ref_of(found) if "$ref" in found else found


_CLIENT_FRAME = named("ClientFrame")
_SERVER_FRAME = named("ServerFrame")


def allows(text: str) -> bool:
    """Say whether a client may send this, by the document.

    That is its schemas, and what it says of JSON that no schema can: that no object holds a field
    twice, that texts are valid Unicode, and that null is absent.
    """
    try:
        text.encode()
        frame = json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
        json.dumps(frame, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    if isinstance(frame, dict):
        frame = {name: value for name, value in frame.items() if value is not None}
    return _CLIENT_FRAME.is_valid(frame)


def expect_known(frame: dict[str, Any]) -> None:
    """Hold what a client received against the document."""
    if _SERVER_FRAME.is_valid(frame):
        return
    # Its own schema tells more than the union does.
    own = named(_schema_of(frame))
    problems = [problem.message for problem in own.iter_errors(frame)]
    raise AssertionError(f"not as docs/asyncapi.yaml says: {frame}: {problems}")


def _schema_of(frame: dict[str, Any]) -> str:
    if "type" not in frame:
        return "GatewayError"
    is_signal = frame["type"] == "ack" and "messageId" not in frame
    return "SignalAck" if is_signal else str(frame["type"]).capitalize()


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError(pairs)
    return fields
