"""Build the API that runs here from the resources of a WebSocket API."""

import re
from collections.abc import Container, Mapping

from local.template.api_resources import ApiResources, RouteResource
from local.template.mapped import mapped_target, unknown_directive
from local.template.model import (
    INTEGRATION_TIMEOUT_S,
    Api,
    Authorizer,
    MappedIntegration,
    Route,
)

_FUNCTION_OF_URI = re.compile(r"/functions/arn:[^/]*:function:([^:/]+)(:[^/]+)?/invocations$")


def build_api(
    resources: ApiResources, functions: Container[str], region: str, notices: list[str]
) -> Api:
    """Return the API.

    Args:
        resources: Its resources.
        functions: The names of the functions that run here.
        region: The region that the run pretends to be in.
        notices: The list for a line about each part of the API that is not imitated.

    """
    stage = resources.stage
    notices.extend(
        f"stage {other.name} is not served: {stage.name} is" for other in resources.other_stages
    )
    routes = {}
    for route in resources.routes:
        reasons: list[str] = []
        routes[route.key] = Route(
            key=route.key,
            function=_function(route, functions, stage.variables, reasons),
            mapped=_mapped(route, functions, stage.variables, reasons),
            not_imitated="".join(reasons[:1]),
            replies=route.id in resources.answered_route_ids,
            timeout_s=route.integration.timeout_s if route.integration else INTEGRATION_TIMEOUT_S,
            authorizer=_authorizer(route, functions, stage.variables, notices),
            throttle=stage.throttles.get(route.key),
        )
        reasons += [f"{name} is not imitated" for name in route.not_imitated]
        notices.extend(f"route {route.key}: {reason}" for reason in reasons)
    return Api(
        id=resources.id,
        stage=stage.name,
        region=region,
        routes=routes,
        selection=resources.selection,
        throttle=stage.default_throttle,
        stage_variables=stage.variables,
    )


def function_of_uri(uri: str, stage_variables: Mapping[str, str]) -> str | None:
    """Return the name of the function that an integration's or authorizer's URI invokes."""
    for name, value in stage_variables.items():
        uri = uri.replace(f"${{stageVariables.{name}}}", value)
    match = _FUNCTION_OF_URI.search(uri)
    return match[1] if match else None


def _function(
    route: RouteResource,
    functions: Container[str],
    variables: Mapping[str, str],
    reasons: list[str],
) -> str | None:
    integration = route.integration
    if integration is None or integration.kind != "AWS_PROXY":
        return None  # the lint, or `_mapped`, reports it
    name = function_of_uri(integration.uri, variables)
    return _running("its function", name, functions, reasons)


def _mapped(
    route: RouteResource,
    functions: Container[str],
    variables: Mapping[str, str],
    reasons: list[str],
) -> MappedIntegration | None:
    resource = route.integration
    if resource is None or resource.kind == "AWS_PROXY":
        return None
    function = function_of_uri(resource.uri, variables)
    target = mapped_target(resource.kind, resource.uri, function, functions)
    if target is None:
        what = function or resource.uri.partition(":apigateway:")[2].partition(":")[2]
        what = what or resource.uri
        reasons.append(f"integration {resource.kind} ({what}) does not run here")
        return None
    integration = MappedIntegration(
        *target, resource.templates, resource.selection, resource.responses
    )
    directive = unknown_directive(integration)
    if directive:
        reasons.append(f"{directive} in a mapping template is not imitated")
        return None
    return integration


def _running(
    what: str, name: str | None, functions: Container[str], notices: list[str]
) -> str | None:
    """Return the name of a function, or `None` with a notice if it does not run here."""
    if name in functions:
        return name
    notices.append(f"{what} ({name}) does not run here" if name else f"{what} is not known here")
    return None


def _authorizer(
    route: RouteResource,
    functions: Container[str],
    variables: Mapping[str, str],
    notices: list[str],
) -> Authorizer | None:
    if route.authorization == "NONE":
        return None
    authorizer = route.authorizer
    if route.authorization != "CUSTOM" or authorizer is None:
        notices.append(f"route {route.key}: authorization {route.authorization} is not checked")
        return None
    name = function_of_uri(authorizer.uri, variables)
    running = _running(f"route {route.key}: its authorizer", name, functions, notices)
    return Authorizer(running, authorizer.identity_sources) if running else None
