"""Follow nested stacks and applications: merge their resources into the template around them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.errors import LocalError
from local.template.parameters import is_list, parameter_values
from local.template.properties import Json, as_text, is_scalar
from local.template.reading import read
from local.template.renaming import Renaming, with_outputs
from local.template.transform import LOCAL_BUCKET, transform_document

STACK = "AWS::CloudFormation::Stack"

type Document = dict[str, Any]


@dataclass(slots=True)
class Merged:
    """A template with the resources of its nested stacks.

    `written` are the resources of the nested templates before SAM's transform, by their new logical
    ids; `notices` has a line for each nested stack that is not followed, by its logical id.
    """

    document: Document
    written: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)


def merge_nested(
    document: Document, values: Mapping[str, str], folder: Path, region: str
) -> Merged:
    """Return a template with the resources of its nested stacks, at any depth.

    A resource `Table` of the nested stack `Data` gets the logical id `DataTable`.

    Args:
        document: The template after SAM's transform.
        values: The text of each of its parameters.
        folder: The folder of the template, which the nested templates' paths start from.
        region: The region that the run pretends to be in.

    """
    merged = Merged(document)
    outputs: dict[str, Mapping[str, Json]] = {}
    for logical_id, resource in list(document["Resources"].items()):
        if resource["Type"] != STACK:
            continue
        location = (resource.get("Properties") or {}).get("TemplateURL")
        if not isinstance(location, str) or "://" in location:
            what = location if isinstance(location, str) else "its template"
            merged.notices[logical_id] = (
                f"{logical_id}: {what} is not on this machine, so it is not followed;"
                " save it in a file and try python -m local --template FILE"
            )
            continue
        path = Path(os.path.normpath(folder / location))
        try:
            outputs[logical_id] = _merge(merged, logical_id, resource, path, values, region)
        except LocalError as error:
            merged.notices[logical_id] = (
                f"{logical_id}: it is not followed: {error}; try python -m local --template {path}"
            )
    merged.document = with_outputs(merged.document, outputs)
    return merged


def _merge(
    merged: Merged,
    logical_id: str,
    stack: Mapping[str, Any],
    path: Path,
    outer_values: Mapping[str, str],
    region: str,
) -> Mapping[str, Json]:
    """Add the resources of a nested stack; return the values of its outputs by name.

    Raises:
        LocalError: If its template is broken, or a parameter has no value.

    """
    written = read(path)
    given = (stack.get("Properties") or {}).get("Parameters") or {}
    known = {name: _text(value, outer_values) for name, value in given.items()}
    values = _parameters(written.get("Parameters") or {}, known)
    plain = {name: as_text(value) for name, value in values.items() if is_scalar(value)}
    transformed, _ = transform_document(path, _for_transform(written, plain), plain, region)
    inner = merge_nested(transformed, plain, path.parent, region)
    renaming = Renaming(
        logical_id,
        values,
        frozenset(inner.document["Resources"]),
        frozenset(inner.document.get("Conditions") or {}),
        frozenset(inner.document.get("Mappings") or {}),
    )
    document = merged.document
    for section in ("Conditions", "Mappings"):
        document[section] = {
            **(document.get(section) or {}),
            **renaming.section(inner.document.get(section) or {}),
        }
    resources = {
        name: _with_folder(resource, path.parent)
        for name, resource in renaming.section(inner.document["Resources"]).items()
    }
    if "Condition" in stack:
        _put_under(stack["Condition"], resources, document["Conditions"], logical_id)
    document["Resources"] = {**document["Resources"], **resources}
    originals = {**written["Resources"], **inner.written}
    merged.written.update({logical_id + name: item for name, item in originals.items()})
    merged.notices.update(
        {logical_id + name: f"{logical_id}: {notice}" for name, notice in inner.notices.items()}
    )
    return {
        name: renaming.value(output.get("Value"))
        for name, output in (inner.document.get("Outputs") or {}).items()
    }


def _text(value: Json, values: Mapping[str, str]) -> Json:
    """Return the text of a parameter instead of a reference to it: the transform reads some."""
    match value:
        case {"Ref": str(name)} if name in values:
            return values[name]
    return value


def _parameters(
    declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, Json]
) -> dict[str, Json]:
    """Return the value of each parameter: what the stack around it gives, or the default."""
    texts = {name: as_text(value) for name, value in given.items() if is_scalar(value)}
    unknown = {name: value for name, value in given.items() if name not in texts}
    checked = {name: rules for name, rules in declared.items() if name not in unknown}
    values: dict[str, Json] = {**parameter_values(checked, texts), **unknown}
    stored = declared.keys() - values.keys()
    if stored:
        raise LocalError(f"parameter {', '.join(sorted(stored))} is read from Systems Manager")
    return {
        name: {"Fn::Split": [",", value]}
        if is_list(declared[name]) and not isinstance(value, list)
        else value
        for name, value in values.items()
    }


def _for_transform(written: Document, values: Mapping[str, str]) -> Document:
    """Return a copy that declares only the parameters with a value.

    The transform leaves references to others, whose values the template around it computes.
    """
    declared = {name: {"Type": "String", "Default": text} for name, text in values.items()}
    return {**_copy(written), "Parameters": declared}


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _with_folder(value: Json, folder: Path) -> Json:
    """Return a value in which code in a folder has the whole path."""
    if isinstance(value, list):
        return [_with_folder(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("S3Bucket") == LOCAL_BUCKET and isinstance(value.get("S3Key"), str):
        return {**value, "S3Key": str((folder / value["S3Key"]).resolve())}
    return {key: _with_folder(item, folder) for key, item in value.items()}


def _put_under(
    condition: str,
    resources: dict[str, Json],
    conditions: dict[str, Json],
    logical_id: str,
) -> None:
    """Make resources depend on the condition of their stack, and on their own."""
    for name, resource in resources.items():
        own = resource.get("Condition")
        both = f"{logical_id}And{own}"
        if own:
            conditions[both] = {"Fn::And": [{"Condition": condition}, {"Condition": own}]}
        resources[name] = {**resource, "Condition": both if own else condition}
