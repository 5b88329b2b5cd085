"""Read a template from its file, as YAML or JSON."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor

from local.errors import LocalError
from local.template.macros import apply_macros
from local.template.properties import Json, Properties, as_text


class _Loader(yaml.SafeLoader):
    """A loader that knows CloudFormation's tags, and reads dates as text.

    CloudFormation has no dates: `Version: 2012-10-17` is the text.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


def read(
    path: Path, overrides: Mapping[str, str] | None = None, notices: list[str] | None = None
) -> dict[str, Any]:
    """Return a template before SAM's transform, with its includes and loops written out.

    Args:
        path: The template.
        overrides: Values of parameters, in place of their defaults.
        notices: The list for a line about each macro that is not applied.

    Raises:
        LocalError: If the file cannot be read, or is not a template.

    """
    document = _read_file(path)
    if isinstance(document, dict):
        unapplied: list[str] = [] if notices is None else notices
        try:
            document = apply_macros(document, _read_file, path.parent, overrides or {}, unapplied)
        except LocalError as error:
            raise LocalError(f"{path}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise LocalError(f"{path} has no Resources: it is no CloudFormation template")
    for logical_id, resource in document["Resources"].items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise LocalError(f"{path}: resource {logical_id} has no Type")
        for name in ("Properties", "Metadata"):
            Properties(f"{path}: {logical_id}", resource).mapping(name)
    for name in ("Parameters", "Conditions", "Mappings", "Globals"):
        section = Properties(str(path), document).mapping(name)
        for each in section if name in {"Parameters", "Globals"} else ():
            section.mapping(each)
    return document


def one_line(text: object) -> str:
    """Return a text, in which there may be line breaks, as one line."""
    return " ".join(str(text).split())


def _read_file(path: Path) -> Json:
    try:
        text = path.read_text()
        # JSON may be indented with tabs, and YAML may not.
        if path.suffix == ".json":
            with contextlib.suppress(ValueError):
                return json.loads(text)
        return _with_text_keys(yaml.load(text, _Loader))  # noqa: S506 -- a SafeLoader
    except OSError as error:
        raise LocalError(f"cannot read {path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LocalError(f"{path}, line {line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise LocalError(f"{path} is not valid YAML: {one_line(error)}") from error


def _with_text_keys(value: Json) -> Json:
    """Return a value of YAML with all keys as text, as in JSON: a route may be called 7."""
    if isinstance(value, dict):
        return {as_text(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    return value
