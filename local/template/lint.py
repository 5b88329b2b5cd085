"""Mistakes in a template that AWS accepts without a word, and that show only as silence later."""

import ast
import fnmatch
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.gateway.selection import is_understood
from local.template.apis import of_api
from local.template.model import Api, Function, Route
from local.template.resources import ACCOUNT_ID, function_of_arn

if TYPE_CHECKING:
    from local.template.loader import Template


def findings(template: "Template", api: Api, functions: Mapping[str, Function]) -> list[str]:
    """Return a line for each mistake."""
    return [
        *_selection(api),
        *_deployment(template, api),
        *_route_responses(template, api),
        *_integrations(template, api),
        *_permissions(template, api),
        *(line for function in functions.values() for line in _handler(function)),
    ]


def _selection(api: Api) -> list[str]:
    if is_understood(api.selection):
        return []
    return [f"the route selection expression {api.selection} reads more than the request's body"]


def _deployment(template: "Template", api: Api) -> list[str]:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-set-up-websocket-deployment.html
    for stage in of_api(template, "Stage", api.id).values():
        if stage.get("StageName") == api.stage and not (
            stage.get("DeploymentId") or stage.get("AutoDeploy")
        ):
            return [f"stage {api.stage} has no deployment: give it a DeploymentId, or AutoDeploy"]
    return []


def _route_responses(template: "Template", api: Api) -> list[str]:
    # Both are needed for a reply, and nothing warns where one is missing:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html
    routes = of_api(template, "Route", api.id)
    keys = {route_id: route["RouteKey"] for route_id, route in routes.items()}
    lines = []
    answered = set()
    for response in of_api(template, "RouteResponse", api.id).values():
        route_id = response.get("RouteId")
        if route_id not in keys:
            lines.append(f"a route response belongs to no route of the API ({route_id})")
        elif response.get("RouteResponseKey") != "$default":
            lines.append(f"route {keys[route_id]}: the key of a route response must be $default")
        else:
            answered.add(route_id)
    for route_id, route in routes.items():
        expects = bool(route.get("RouteResponseSelectionExpression"))
        if expects and route_id not in answered:
            lines.append(
                f"route {keys[route_id]}: RouteResponseSelectionExpression without an"
                " AWS::ApiGatewayV2::RouteResponse: AWS drops what the function returns"
            )
        if route_id in answered and not expects:
            lines.append(
                f"route {keys[route_id]}: a route response without"
                " RouteResponseSelectionExpression: $default on the route"
            )
    return lines


def _integrations(template: "Template", api: Api) -> list[str]:
    integrations = of_api(template, "Integration", api.id)
    lines = []
    for route in of_api(template, "Route", api.id).values():
        target = str(route.get("Target", ""))
        if target.removeprefix("integrations/") not in integrations:
            lines.append(f"route {route['RouteKey']}: no integration, so no function, behind it")
    return lines


def _permissions(template: "Template", api: Api) -> list[str]:
    granted = [
        template.resolve(logical_id, properties)
        for logical_id, properties in template.of_kind("AWS::Lambda::Permission").items()
    ]
    lines = []
    arn = f"arn:aws:execute-api:{api.region}:{ACCOUNT_ID}:{api.id}"
    for route in api.routes.values():
        source = f"{arn}/{api.stage}/{route.key}"
        if (
            route.function is not None
            and not _has_role(template, api, route)
            and not any(_allows(permission, route.function, source) for permission in granted)
        ):
            lines.append(
                f"route {route.key}: API Gateway may not invoke {route.function}:"
                f" an AWS::Lambda::Permission for {source} is missing"
            )
    return lines


def _has_role(template: "Template", api: Api, route: Route) -> bool:
    """Tell whether the integration invokes its function by a role, not by a permission."""
    integrations = of_api(template, "Integration", api.id)
    for properties in of_api(template, "Route", api.id).values():
        if properties["RouteKey"] == route.key:
            target = str(properties.get("Target", "")).removeprefix("integrations/")
            return bool(integrations.get(target, {}).get("CredentialsArn"))
    return False


def _allows(permission: Mapping[str, Any], function: str, source: str) -> bool:
    name = str(permission.get("FunctionName"))
    # https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
    return (
        function in {name, name.partition(":")[0], function_of_arn(name)}
        and permission.get("Principal") == "apigateway.amazonaws.com"
        and permission.get("Action") in {"lambda:InvokeFunction", "lambda:*"}
        and fnmatch.fnmatchcase(source, str(permission.get("SourceArn", "*")))
    )


def _handler(function: Function) -> list[str]:
    lines = [
        f"{function.name}: there is no folder {layer} for its layer"
        for layer in function.layers
        if not layer.is_dir()
    ]
    module, _, attribute = function.handler.rpartition(".")
    relative = Path(*module.replace("/", ".").split("."))
    for root in (function.code, *function.layers):
        for path in (root / relative.with_suffix(".py"), root / relative / "__init__.py"):
            if path.is_file():
                if not _defines(path, attribute):
                    lines.append(f"{function.name}: {path} has no {attribute}")
                return lines
    return [*lines, f"{function.name}: no module {module} in {function.code}"]


def _defines(path: Path, name: str) -> bool:
    try:
        tree = ast.parse(path.read_text())
    except (SyntaxError, ValueError):
        return True  # another matter, which its import will tell
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        else:
            names.update(
                each.id
                for each in ast.walk(node)
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            )
    return name in names or "*" in names
