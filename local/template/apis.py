"""Read the WebSocket API of a template: routes, integrations, route responses, stage."""

import re
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from local.errors import LocalError
from local.template.model import Api, Authorizer, Route, Throttle

if TYPE_CHECKING:
    from local.template.loader import Template

_V2 = "AWS::ApiGatewayV2"
_FUNCTION_OF_URI = re.compile(r"/functions/arn:[^/]*:function:([^:/]+)(:[^/]+)?/invocations$")


def read_api(template: "Template", functions: Container[str], wanted: str | None) -> Api:
    """Return the API of the template.

    Raises:
        LocalError: If there is none, or none by that name, or more than one to choose from.

    """
    logical_id = _choose(template, wanted)
    properties = template.resolve(logical_id, template.of_kind(f"{_V2}::Api")[logical_id])
    api_id = template.resolve(logical_id, {"Ref": logical_id})
    stage = _stage(template, api_id)
    routes = {
        route.key: route
        for route in _routes(template, functions, api_id, stage.get("StageVariables") or {}, stage)
    }
    return Api(
        id=api_id,
        stage=str(stage["StageName"]),
        region=template.names.region,
        routes=routes,
        selection=str(properties.get("RouteSelectionExpression", "$request.body.action")),
        throttle=_throttle(stage.get("DefaultRouteSettings")),
        stage_variables=stage.get("StageVariables"),
    )


def of_api(template: "Template", kind: str, api_id: str) -> dict[str, dict[str, Any]]:
    """Return the resolved resources of a kind that belong to the API, by what `Ref` gives."""
    found = {}
    for logical_id, properties in template.of_kind(f"{_V2}::{kind}").items():
        resolved = template.resolve(logical_id, properties)
        if resolved.get("ApiId") == api_id:
            found[template.resolve(logical_id, {"Ref": logical_id})] = resolved
    return found


def function_of_uri(uri: str, stage_variables: Mapping[str, str]) -> str | None:
    """Return the name of the function that an integration's or authorizer's URI invokes."""
    for name, value in stage_variables.items():
        uri = uri.replace(f"${{stageVariables.{name}}}", str(value))
    match = _FUNCTION_OF_URI.search(uri)
    return match[1] if match else None


def _choose(template: "Template", wanted: str | None) -> str:
    found = [
        logical_id
        for logical_id, properties in template.of_kind(f"{_V2}::Api").items()
        if template.resolve(logical_id, properties.get("ProtocolType")) == "WEBSOCKET"
    ]
    if wanted in found:
        return str(wanted)
    if not found:
        raise LocalError(f"{template.path} has no WebSocket API")
    if wanted is not None or len(found) > 1:
        raise LocalError(f"{template.path}: choose the API with --api: {' or '.join(found)}")
    return found[0]


def _stage(template: "Template", api_id: str) -> dict[str, Any]:
    stages = list(of_api(template, "Stage", api_id).values())
    if not stages:
        raise LocalError(f"{template.path}: the WebSocket API has no stage")
    template.notices.extend(
        f"stage {other['StageName']} is not served: {stages[0]['StageName']} is"
        for other in stages[1:]
    )
    return stages[0]


def _routes(
    template: "Template",
    functions: Container[str],
    api_id: str,
    variables: Mapping[str, str],
    stage: Mapping[str, Any],
) -> list[Route]:
    integrations = of_api(template, "Integration", api_id)
    authorizers = of_api(template, "Authorizer", api_id)
    answered = {
        response.get("RouteId")
        for response in of_api(template, "RouteResponse", api_id).values()
        if response.get("RouteResponseKey") == "$default"
    }
    settings = stage.get("RouteSettings") or {}
    routes = []
    for route_id, properties in of_api(template, "Route", api_id).items():
        key = properties["RouteKey"]
        target = str(properties.get("Target", "")).removeprefix("integrations/")
        integration = integrations.get(target, {})
        routes.append(
            Route(
                key=key,
                function=_function(template, functions, key, integration, variables),
                replies=route_id in answered,
                timeout=float(integration.get("TimeoutInMillis") or 29_000) / 1000,
                authorizer=_authorizer(template, functions, properties, authorizers, variables),
                throttle=_throttle(settings.get(key)),
            )
        )
        template.notices.extend(
            f"route {key}: {name} is not imitated"
            for name in ("ApiKeyRequired", "RequestModels", "RequestParameters")
            if properties.get(name)
        )
    return routes


def _function(
    template: "Template",
    functions: Container[str],
    key: str,
    integration: Mapping[str, Any],
    variables: Mapping[str, str],
) -> str | None:
    if not integration:
        return None  # the lint says so
    kind = integration.get("IntegrationType")
    name = function_of_uri(str(integration.get("IntegrationUri", "")), variables)
    if kind != "AWS_PROXY":
        template.notices.append(f"route {key}: integration {kind} does not run, AWS_PROXY does")
        return None
    if name not in functions:
        template.notices.append(f"route {key}: its function ({name}) does not run here")
        return None
    return name


def _authorizer(
    template: "Template",
    functions: Container[str],
    route: Mapping[str, Any],
    authorizers: Mapping[str, Mapping[str, Any]],
    variables: Mapping[str, str],
) -> Authorizer | None:
    kind = route.get("AuthorizationType", "NONE")
    if kind == "NONE":
        return None
    authorizer = authorizers.get(str(route.get("AuthorizerId")), {})
    name = function_of_uri(str(authorizer.get("AuthorizerUri", "")), variables)
    if kind != "CUSTOM" or name is None or name not in functions:
        template.notices.append(f"route {route['RouteKey']}: authorization {kind} is not checked")
        return None
    return Authorizer(name, tuple(authorizer.get("IdentitySource") or ()))


def _throttle(settings: Mapping[str, Any] | None) -> Throttle | None:
    if not settings or not settings.get("ThrottlingRateLimit"):
        return None
    rate = float(settings["ThrottlingRateLimit"])
    return Throttle(rate, int(settings.get("ThrottlingBurstLimit") or rate))
