"""Read a template into a `Stack`, with a notice for each part that does not run here."""

import copy
from collections.abc import Mapping
from pathlib import Path

from local.errors import LocalError, Unresolvable
from local.template.api_resources import NoApi, read_api_resources
from local.template.apis import build_api
from local.template.event_sources import read_event_sources
from local.template.functions import read_functions
from local.template.intrinsics import Resolver
from local.template.lint import findings
from local.template.model import Stack, Storage
from local.template.nested import merge_nested
from local.template.not_imitated import not_imitated
from local.template.resources import NAME_PROPERTIES, Names
from local.template.roles import RoleReader
from local.template.template import Template
from local.template.transform import read, transform_document


def load(
    path: Path, *, overrides: Mapping[str, str], region: str, api: str | None, scratch: Path
) -> Stack:
    """Read the template at `path`.

    Args:
        path: The template.
        overrides: Values of parameters, in place of their defaults.
        region: The region that the run pretends to be in.
        api: The logical id of the WebSocket API to run; `None` if there is only one.
        scratch: A folder for code that is written in the template itself.

    Raises:
        LocalError: If the template is broken, or nothing of it can run here.

    """
    notices: list[str] = []
    written = read(path, overrides, notices)
    document, values = transform_document(path, copy.deepcopy(written), overrides, region)
    merged = merge_nested(document, values, path.parent, region)
    names = Names(region)
    resolver = Resolver(merged.document, values, names)
    try:
        resources = resolver.resources(lambda name, error: notices.append(f"{name}: {error}"))
    except Unresolvable as error:
        raise LocalError(f"{path}: {error}") from error
    # Not those whose condition is false.
    not_followed = [line for name, line in merged.notices.items() if name in resources]
    notices.extend(not_followed)
    template = Template(path, resolver, names, resources, notices)
    functions = read_functions(template, scratch)
    try:
        api_resources = read_api_resources(template, api)
    except NoApi as error:  # a nested stack that is not followed may have it
        raise LocalError("\n".join([str(error), *not_followed])) from error
    websocket_api = build_api(api_resources, functions.running, region, template.notices)
    event_sources, subscribed = read_event_sources(template, functions.running)
    storage = (*_storage(template), *subscribed)
    template.notices.extend(not_imitated({**written["Resources"], **merged.written}, resources))
    found = RoleReader(merged.document, values, names, resources).read(functions.running)
    warnings = findings(template, api_resources, websocket_api, functions.running)
    return Stack(
        region=region,
        api=websocket_api,
        functions=functions.running,
        storage=storage,
        event_sources=event_sources,
        roles=found.roles,
        role_notices=found.notices,
        notices=tuple(template.notices),
        warnings=(*functions.warnings, *warnings),
    )


def _storage(template: Template) -> tuple[Storage, ...]:
    found = []
    for kind, name_property in NAME_PROPERTIES.items():
        for logical_id, properties in template.of_kind(kind).items():
            # Wrong ones would only show when the table or the bucket is created.
            properties.mapping("StreamSpecification")
            properties.mapping("TimeToLiveSpecification")
            properties.mapping("CorsConfiguration").mappings("CorsRules")
            resolved = {name: properties.read(name) for name in properties}
            present = {name: value for name, value in resolved.items() if value is not None}
            name = template.name(logical_id)
            if "{{resolve:" in str(present.get(name_property, "")):
                template.notices.append(
                    f"{logical_id}: {name_property} with a dynamic reference: it is {name} here"
                )
            present[name_property] = name
            if kind == "AWS::DynamoDB::GlobalTable":  # one of its regions is here
                present["BillingMode"] = "PAY_PER_REQUEST"
            found.append(Storage(kind.replace("::GlobalTable", "::Table"), name, present))
    return tuple(found)
