"""Find the templates of the same repository that a template refers to."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local.errors import LocalError
from local.template.reading import read

_LOCATIONS = {
    "AWS::CloudFormation::Stack": "TemplateURL",
    "AWS::Serverless::Application": "Location",
}


def nested_templates(document: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Return the files of nested applications and stacks, by logical id."""
    found = {}
    for logical_id, resource in document["Resources"].items():
        location = (resource.get("Properties") or {}).get(_LOCATIONS.get(resource["Type"]))
        if isinstance(location, str) and (folder / location).is_file():
            found[logical_id] = folder / location
    return found


def files_with_api(document: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """Yield the files of nested templates that have a WebSocket API, at any depth."""
    for path in nested_templates(document, folder).values():
        try:
            nested = read(path)
        except LocalError:
            continue
        if any(map(_is_api, nested["Resources"].values())):
            yield path
        yield from files_with_api(nested, path.parent)


def _is_api(resource: Mapping[str, Any]) -> bool:
    protocol = (resource.get("Properties") or {}).get("ProtocolType")
    return resource["Type"] == "AWS::Serverless::WebSocketApi" or (
        resource["Type"] == "AWS::ApiGatewayV2::Api" and protocol == "WEBSOCKET"
    )
