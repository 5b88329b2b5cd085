"""Find mistakes in a template that AWS accepts without an error."""

import ast
import contextlib
import fnmatch
from collections.abc import Mapping
from pathlib import Path

from local.errors import Unknown
from local.template.api_resources import ApiResources
from local.template.model import Api, Function, function_of_arn
from local.template.properties import Properties
from local.template.template import Template


def findings(
    template: Template, resources: ApiResources, api: Api, functions: Mapping[str, Function]
) -> list[str]:
    """Return a line for each mistake."""
    return [
        *_selection(api),
        *_deployment(resources),
        *_route_responses(resources),
        *_integrations(resources),
        *_permissions(template, resources, api),
        *(line for function in functions.values() for line in _handler(function)),
    ]


def _selection(api: Api) -> list[str]:
    if api.selects_by_body_alone:
        return []
    return [f"the route selection expression {api.selection} reads more than the request's body"]


def _deployment(resources: ApiResources) -> list[str]:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-set-up-websocket-deployment.html
    stage = resources.stage
    if stage.is_deployed:
        return []
    return [f"stage {stage.name} has no deployment: give it a DeploymentId, or AutoDeploy"]


def _route_responses(resources: ApiResources) -> list[str]:
    # The route response makes a route two-way, and nothing warns where it is missing:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html
    # The developer guide says that a selection expression "should be provided". To leave it out is
    # no mistake: the commands on that page do, and samples of AWS without it show replies, such as
    # https://github.com/aws-samples/serverless-patterns/tree/main/apigw-websocket-api-sfn-sync
    keys = {route.id: route.key for route in resources.routes}
    lines = []
    for response in resources.route_responses:
        if response.route_id not in keys:
            lines.append(f"a route response belongs to no route of the API ({response.route_id})")
        elif response.key != "$default":
            lines.append(
                f"route {keys[response.route_id]}: the key of a route response must be $default"
            )
    lines.extend(
        f"route {route.key}: RouteResponseSelectionExpression without an"
        " AWS::ApiGatewayV2::RouteResponse: AWS drops what the function returns"
        for route in resources.routes
        if route.expects_response and route.id not in resources.answered_route_ids
    )
    return lines


def _integrations(resources: ApiResources) -> list[str]:
    return [
        f"route {route.key}: no integration, so no function, behind it"
        for route in resources.routes
        if route.integration is None
    ]


def _permissions(template: Template, resources: ApiResources, api: Api) -> list[str]:
    permissions = []
    for each in template.of_kind("AWS::Lambda::Permission", quiet=True).values():
        with contextlib.suppress(Unknown):  # it is for something that does not exist here
            permissions.append(_Permission(each))
    lines = []
    for route in resources.routes:
        function = api.routes[route.key].function
        if function is None or route.integration is None or route.integration.has_role:
            continue
        source = api.route_arn(route.key)
        if not any(permission.allows(function, source) for permission in permissions):
            lines.append(
                f"route {route.key}: API Gateway may not invoke {function}:"
                f" an AWS::Lambda::Permission for {source} is missing"
            )
    return lines


class _Permission:
    """A permission to invoke a function.

    https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
    """

    def __init__(self, properties: Properties) -> None:
        name = properties.text("FunctionName")
        self._names = {name, name.partition(":")[0], function_of_arn(name)}
        self._is_for_the_gateway = properties.text(
            "Principal"
        ) == "apigateway.amazonaws.com" and properties.text("Action") in {
            "lambda:InvokeFunction",
            "lambda:*",
        }
        # A source that only AWS knows may be the API.
        self._source = properties.text("SourceArn", "*")

    def allows(self, function: str, source: str) -> bool:
        """Return whether API Gateway may invoke the function for the route with this ARN."""
        return (
            function in self._names
            and self._is_for_the_gateway
            and fnmatch.fnmatchcase(source, self._source)
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
        return True  # another error, which importing it reports
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
