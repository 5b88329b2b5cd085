"""Apply what AWS applies to a template before SAM's transform: includes and loops.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-reference.html
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from local.errors import LocalError
from local.template.properties import Json, as_text

_APPLIED = {"AWS::Include", "AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"}
_LOOP = "Fn::ForEach::"


def apply_macros(
    document: dict[str, Json],
    read: Callable[[Path], Json],
    folder: Path,
    overrides: Mapping[str, str],
    notices: list[str],
) -> dict[str, Json]:
    """Return a template with its includes and its loops written out.

    Args:
        document: The template.
        read: Reads a file that is included.
        folder: The folder of the template.
        overrides: Values of parameters, in place of their defaults.
        notices: The list for a line about each macro that is not applied.

    Raises:
        LocalError: If a file that is included cannot be read, or a loop is not known here.

    """

    def include(value: Json) -> Json:
        if isinstance(value, list):
            return [include(item) for item in value]
        if not isinstance(value, dict):
            return value
        macro = value.get("Fn::Transform")
        rest = {key: include(item) for key, item in value.items() if key != "Fn::Transform"}
        if macro is None:
            return rest
        location = _location(macro)
        if location is None:
            notices.append(f"macro {_name(macro)} is not applied")
            return rest
        included = read(folder / location)
        return {**included, **rest} if isinstance(included, dict) else included

    transforms = document.get("Transform") or []
    for macro in transforms if isinstance(transforms, list) else [transforms]:
        if _name(macro) not in _APPLIED:
            notices.append(f"macro {_name(macro)} is not applied")
        elif location := _location(macro):
            document = {**read(folder / location), **document}
    expanded: dict[str, Json] = _expand(include(document), _lists(document, overrides))
    return expanded


def _name(macro: Json) -> str:
    return str(macro.get("Name") if isinstance(macro, dict) else macro)


def _location(macro: Json) -> str | None:
    """Return the path of the file that an `AWS::Include` on this machine names."""
    if not isinstance(macro, dict) or macro.get("Name") != "AWS::Include":
        return None
    location = (macro.get("Parameters") or {}).get("Location")
    return location if isinstance(location, str) and "://" not in location else None


def _lists(document: Mapping[str, Json], overrides: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the items of each parameter that has a value."""
    declared = document.get("Parameters")
    values = {
        name: overrides.get(name, rules.get("Default"))
        for name, rules in (declared if isinstance(declared, dict) else {}).items()
        if isinstance(rules, dict)
    }
    return {
        name: [item.strip() for item in as_text(value).split(",")]
        for name, value in values.items()
        if value is not None
    }


def _expand(value: Json, lists: Mapping[str, list[str]]) -> Json:
    """Write out `Fn::ForEach`."""
    if isinstance(value, list):
        return [_expand(item, lists) for item in value]
    if not isinstance(value, dict):
        return value
    expanded: dict[str, Json] = {}
    for key, item in value.items():
        if key.startswith(_LOOP):
            expanded.update(_repeat(key, item, lists))
        else:
            expanded[key] = _expand(item, lists)
    return expanded


def _repeat(loop: str, argument: Json, lists: Mapping[str, list[str]]) -> dict[str, Json]:
    """Return what a loop adds to the mapping that it is in.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html
    """
    match argument:
        case [str(identifier), collection, {**body}]:
            pass
        case _:
            raise LocalError(f"{loop} takes an identifier, a list and a mapping, not {argument!r}")
    if isinstance(collection, dict):
        collection = lists.get(str(collection.get("Ref")))
    if not isinstance(collection, list):
        raise LocalError(f"{loop}: its list must be written out, or a parameter with a value")
    repeated: dict[str, Json] = {}
    for item in collection:
        repeated.update(_expand(_replace(body, identifier, as_text(item)), lists))
    return repeated


def _replace(value: Json, identifier: str, text: str) -> Json:
    if isinstance(value, str):
        letters = re.sub("[^A-Za-z0-9]", "", text)
        return value.replace(f"${{{identifier}}}", text).replace(f"&{{{identifier}}}", letters)
    if isinstance(value, list):
        return [_replace(item, identifier, text) for item in value]
    if not isinstance(value, dict):
        return value
    if value == {"Ref": identifier}:
        return text
    return {
        _replace(key, identifier, text): _replace(item, identifier, text)
        for key, item in value.items()
    }
