"""The lint: mistakes that AWS accepts without an error."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local.template.loader import load

CORRECT = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      StageName: prod
      RouteSelectionExpression: $request.body.action
      Routes:
        chat: {FunctionArn: !GetAtt F.Arn, RouteResponseSelectionExpression: $default}
        ping: {FunctionArn: !GetAtt F.Arn}
  Response:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: {ApiId: !Ref Api, RouteId: !Ref ApiChatRoute, RouteResponseKey: $default}
  F:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: code}
"""

type Lint = Callable[[str], list[str]]


@pytest.fixture
def lint(tmp_path: Path) -> Lint:
    def warnings(text: str) -> list[str]:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "app.py").write_text("def handler(event, context): ...\n")
        path = tmp_path / "template.yaml"
        path.write_text(text)
        return list(
            load(path, overrides={}, region="us-east-1", api=None, scratch=tmp_path).warnings
        )

    return warnings


def test_correct_template_has_no_warnings(lint: Lint) -> None:
    assert lint(CORRECT) == []


def test_response_expression_without_a_route_response_is_a_warning(lint: Lint) -> None:
    (line,) = lint(
        CORRECT.replace("ApiChatRoute", "ApiPingRoute").replace(
            "ping: {", "ping: {RouteResponseSelectionExpression: $default, "
        )
    )
    assert line.startswith("route chat: RouteResponseSelectionExpression without")


def test_route_response_without_a_response_expression_is_no_warning(lint: Lint) -> None:
    assert lint(CORRECT.replace(", RouteResponseSelectionExpression: $default", "")) == []


def test_route_response_key_other_than_default_is_a_warning(lint: Lint) -> None:
    lines = lint(CORRECT.replace("RouteResponseKey: $default", "RouteResponseKey: chat"))
    assert lines[0] == "route chat: the key of a route response must be $default"


def test_route_response_without_a_route_is_a_warning(lint: Lint) -> None:
    lines = lint(CORRECT.replace("!Ref ApiChatRoute", "chat"))
    assert lines[0] == "a route response belongs to no route of the API (chat)"


def test_route_without_an_integration_is_a_warning(lint: Lint) -> None:
    lines = lint(
        CORRECT
        + """
  Lost:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Api, RouteKey: lost}
"""
    )
    assert lines == ["route lost: no integration, so no function, behind it"]


def test_function_without_a_permission_is_a_warning(lint: Lint) -> None:
    text = (
        CORRECT
        + """
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Api
      RouteKey: by-hand
      Target: !Sub integrations/${ApiChatIntegration}
"""
    )
    (line,) = lint(text)
    assert line.startswith("route by-hand: API Gateway may not invoke local-F: ")
    assert line.endswith("/prod/by-hand is missing")


def test_missing_handler_function_is_a_warning(lint: Lint) -> None:
    (line,) = lint(CORRECT.replace("app.handler", "app.handle"))
    assert line.endswith("app.py has no handle")


def test_missing_handler_module_is_a_warning(lint: Lint) -> None:
    (line,) = lint(CORRECT.replace("app.handler", "main.handler"))
    assert line.startswith("local-F: no module main in ")


def test_stage_without_a_deployment_is_a_warning(lint: Lint) -> None:
    text = """
Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.header.action}
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Api, StageName: prod}
"""
    assert lint(text) == [
        "the route selection expression $request.header.action reads more than the request's body",
        "stage prod has no deployment: give it a DeploymentId, or AutoDeploy",
    ]
