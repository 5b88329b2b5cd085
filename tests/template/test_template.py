"""What the template promises, held on the template as it is after the transform."""

import json
import re
import tomllib
from datetime import timedelta
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from chat.files import SENDABLE_FOR, UNSENT
from local.template.intrinsics import Resolver
from local.template.resources import Names
from local.template.transform import read, to_cloudformation
from tests.support.backend import ROOT

TEMPLATE = ROOT / "template-python.yaml"
SOURCE = read(TEMPLATE)
type Resources = dict[str, dict[str, Any]]

FOLDERS = {
    "OnConnectFunction": "on_connect",
    "OnDisconnectFunction": "on_disconnect",
    "SendMessageFunction": "send_message",
    "SendFileFunction": "send_file",
}
EXECUTE_API = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}"
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}


@pytest.fixture(scope="module")
def resources() -> Resources:
    document, _ = to_cloudformation(TEMPLATE, {}, "us-east-1")
    found: Resources = document["Resources"]
    return found


def of_kind(resources: Resources, kind: str) -> Resources:
    return {
        logical_id: resource.get("Properties", {})
        for logical_id, resource in resources.items()
        if resource["Type"] == kind
    }


def test_there_are_four_functions_with_the_agreed_names(resources: Resources) -> None:
    functions = of_kind(resources, "AWS::Lambda::Function")
    assert {
        logical_id: each["FunctionName"]["Fn::Sub"] for logical_id, each in functions.items()
    } == {
        "OnConnectFunction": "${FunctionNamePrefix}1_on_connect",
        "OnDisconnectFunction": "${FunctionNamePrefix}2-on-disconnect",
        "SendMessageFunction": "${FunctionNamePrefix}3-send-message",
        "SendFileFunction": "${FunctionNamePrefix}4-send-file",
    }
    for each in functions.values():
        assert each["Runtime"] == "python3.13"
        assert each["Architectures"] == ["arm64"]
        assert each["Handler"] == "lambda_function.lambda_handler"
        assert len(each["Layers"]) == 1


def test_four_routes_lead_to_them(resources: Resources) -> None:
    integrations = of_kind(resources, "AWS::ApiGatewayV2::Integration")
    leads_to = {}
    for route in of_kind(resources, "AWS::ApiGatewayV2::Route").values():
        target = integrations[route["Target"]["Fn::Join"][1][1]["Ref"]]
        function_arn = target["IntegrationUri"]["Fn::Sub"][1]["FunctionArn"]
        leads_to[route["RouteKey"]] = FOLDERS[function_arn["Fn::GetAtt"][0]]
    assert leads_to == {
        "$connect": "on_connect",
        "$disconnect": "on_disconnect",
        "sendmessage": "send_message",
        "sendfile": "send_file",
    }
    (api,) = of_kind(resources, "AWS::ApiGatewayV2::Api").values()
    assert api["RouteSelectionExpression"] == "$request.body.action"
    (stage,) = of_kind(resources, "AWS::ApiGatewayV2::Stage").values()
    assert stage["StageName"] == "prod"


def test_a_route_whose_handler_answers_has_its_route_response(resources: Resources) -> None:
    """Without it AWS drops every reply, and neither the transform nor the linter warns."""
    routes = of_kind(resources, "AWS::ApiGatewayV2::Route")
    answered = {
        routes[response["RouteId"]["Ref"]]["RouteKey"]
        for response in of_kind(resources, "AWS::ApiGatewayV2::RouteResponse").values()
        if response["RouteResponseKey"] == "$default"
    }
    assert answered == {"sendmessage", "sendfile"}
    expecting = {
        route["RouteKey"]
        for route in routes.values()
        if route.get("RouteResponseSelectionExpression") == "$default"
    }
    assert expecting == answered


def permissions(resources: Resources, role: str) -> set[tuple[str, str]]:
    """List what a role allows, as pairs of an action and the resource, in its shortest form."""
    (policy,) = resources[role]["Properties"]["Policies"]
    assert "ManagedPolicyArns" not in resources[role]["Properties"]
    allowed = set()
    for statement in policy["PolicyDocument"]["Statement"]:
        assert statement.keys() == {"Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        actions = statement["Action"]
        target = statement["Resource"]
        where = "*" if target == "*" else target.get("Fn::Sub") or ".".join(target["Fn::GetAtt"])
        allowed |= {(each, where) for each in ([actions] if isinstance(actions, str) else actions)}
    return allowed


@pytest.mark.parametrize(
    ("function", "allowed"),
    [
        (
            "OnConnect",
            {
                ("dynamodb:PutItem", "ConnectionsTable.Arn"),
                ("dynamodb:UpdateItem", "ConnectionsTable.Arn"),
                ("dynamodb:DeleteItem", "ConnectionsTable.Arn"),
                (
                    "execute-api:ManageConnections",
                    f"{EXECUTE_API}:${{ChatApi}}/prod/DELETE/@connections/*",
                ),
                ("lambda:InvokeFunction", "SendMessageFunction.Arn"),
            },
        ),
        (
            "OnDisconnect",
            {
                ("dynamodb:DeleteItem", "ConnectionsTable.Arn"),
                ("dynamodb:UpdateItem", "ConnectionsTable.Arn"),
            },
        ),
        (
            "SendMessage",
            {
                ("dynamodb:GetItem", "ConnectionsTable.Arn"),
                ("dynamodb:BatchGetItem", "ConnectionsTable.Arn"),
                ("dynamodb:DeleteItem", "ConnectionsTable.Arn"),
                ("dynamodb:UpdateItem", "ConnectionsTable.Arn"),
                ("dynamodb:PutItem", "MessagesTable.Arn"),
                ("dynamodb:GetItem", "MessagesTable.Arn"),
                ("dynamodb:Query", "${MessagesTable.Arn}/index/recipientId-index"),
                ("s3:GetObject", "${FilesBucket.Arn}/*"),
                ("s3:GetObjectTagging", "${FilesBucket.Arn}/*"),
                ("s3:DeleteObjectTagging", "${FilesBucket.Arn}/*"),
                (
                    "execute-api:ManageConnections",
                    f"{EXECUTE_API}:${{ChatApi}}/prod/POST/@connections/*",
                ),
            },
        ),
        (
            "SendFile",
            {
                ("dynamodb:GetItem", "ConnectionsTable.Arn"),
                ("s3:PutObject", "${FilesBucket.Arn}/*"),
                ("s3:PutObjectTagging", "${FilesBucket.Arn}/*"),
                ("s3:GetObject", "${FilesBucket.Arn}/*"),
            },
        ),
    ],
)
def test_each_function_may_do_exactly_what_it_does(
    resources: Resources, function: str, allowed: set[tuple[str, str]]
) -> None:
    own_logs = {(action, f"{function}LogGroup.Arn") for action in LOGS}
    traces = {(action, "*") for action in TRACES}
    assert permissions(resources, f"{function}Role") == allowed | own_logs | traces
    properties = resources[f"{function}Function"]["Properties"]
    assert properties["Role"] == {"Fn::GetAtt": [f"{function}Role", "Arn"]}


def test_nothing_else_grants_anything(resources: Resources) -> None:
    assert set(of_kind(resources, "AWS::IAM::Role")) == {
        "OnConnectRole",
        "OnDisconnectRole",
        "SendMessageRole",
        "SendFileRole",
    }
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::User"):
        assert of_kind(resources, kind) == {}
    for permission in of_kind(resources, "AWS::Lambda::Permission").values():
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"]["Fn::Sub"]


@pytest.mark.parametrize(
    ("function", "variables"),
    [
        (
            "OnConnect",
            {
                "CONNECTIONS_TABLE",
                "SEND_MESSAGE_FUNCTION",
                "MAX_CONNECTIONS",
                "JWT_ISSUER",
                "JWT_AUDIENCE",
                "JWT_USER_CLAIM",
                "JWKS_URL",
                "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI",
            },
        ),
        ("OnDisconnect", {"CONNECTIONS_TABLE"}),
        (
            "SendMessage",
            {
                "CONNECTIONS_TABLE",
                "MESSAGES_TABLE",
                "FILES_BUCKET",
                "MAX_FILE_BYTES",
                "SHOW_FILES_IN_PLACE",
                "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI",
            },
        ),
        (
            "SendFile",
            {
                "CONNECTIONS_TABLE",
                "FILES_BUCKET",
                "ALLOWED_CONTENT_TYPES",
                "MAX_FILE_BYTES",
                "SHOW_FILES_IN_PLACE",
            },
        ),
    ],
)
def test_each_function_has_only_the_environment_it_uses(
    resources: Resources, function: str, variables: set[str]
) -> None:
    environment = resources[f"{function}Function"]["Properties"]["Environment"]["Variables"]
    everyones = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"}
    assert environment.keys() == variables | everyones
    # Two stacks must not add to the same metrics.
    namespace = environment["POWERTOOLS_METRICS_NAMESPACE"]
    assert namespace == {"Fn::Sub": "ServerlessChat/${AWS::StackName}"}


def test_each_function_logs_json_to_its_own_group_for_a_while(resources: Resources) -> None:
    groups = of_kind(resources, "AWS::Logs::LogGroup")
    for logical_id, function in of_kind(resources, "AWS::Lambda::Function").items():
        group = logical_id.replace("Function", "LogGroup")
        assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": group}}
        name = groups[group]["LogGroupName"]["Fn::Sub"]
        assert name == f"/aws/lambda/{function['FunctionName']['Fn::Sub']}"
        assert groups[group]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_each_function_is_traced_unless_a_parameter_says_otherwise(resources: Resources) -> None:
    assert SOURCE["Parameters"]["Tracing"]["Default"] == "Active"
    for function in of_kind(resources, "AWS::Lambda::Function").values():
        assert function["TracingConfig"] == {"Mode": {"Ref": "Tracing"}}


def test_every_function_ends_before_api_gateway_stops_waiting(resources: Resources) -> None:
    for function in of_kind(resources, "AWS::Lambda::Function").values():
        assert function["Timeout"] < 29


def test_the_tables_are_as_agreed(resources: Resources) -> None:
    connections = resources["ConnectionsTable"]["Properties"]
    messages = resources["MessagesTable"]["Properties"]
    assert connections["TableName"]["Fn::Sub"] == "${FunctionNamePrefix}ChatConnections"
    assert messages["TableName"]["Fn::Sub"] == "${FunctionNamePrefix}ChatMessages"
    assert keys(connections) == ["connectionId"]
    assert keys(messages) == ["chatId", "timestamp"]
    assert "GlobalSecondaryIndexes" not in connections
    assert indexes(messages) == {"recipientId-index": ["recipientId", "timestamp"]}
    assert connections["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    for table in (connections, messages):
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"] == {"SSEEnabled": True}
    assert messages["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def keys(table: dict[str, Any]) -> list[str]:
    return [key["AttributeName"] for key in table["KeySchema"]]


def indexes(table: dict[str, Any]) -> dict[str, list[str]]:
    return {index["IndexName"]: keys(index) for index in table["GlobalSecondaryIndexes"]}


def test_messages_and_files_outlive_the_stack(resources: Resources) -> None:
    for logical_id in ("MessagesTable", "FilesBucket"):
        assert resources[logical_id]["DeletionPolicy"] == "Retain"
        assert resources[logical_id]["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_is_private_encrypted_and_tls_only(resources: Resources) -> None:
    bucket = resources["FilesBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    (statement,) = resources["FilesBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == (
        "Deny",
        "*",
        "s3:*",
    )
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2


def test_the_buckets_name_holds_account_and_region(resources: Resources) -> None:
    pattern, parts = resources["FilesBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    assert pattern == "chat-files-${AWS::AccountId}-${AWS::Region}-${StackPart}"
    assert "AWS::StackId" in json.dumps(parts)
    # S3 takes at most 63 characters; the longest region's name has 14.
    assert len("chat-files-") + 12 + 1 + 14 + 1 + 12 <= 63


def test_cors_is_by_parameter(resources: Resources) -> None:
    (rule,) = resources["FilesBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == {"Ref": "AllowedOrigins"}
    assert rule["AllowedMethods"] == ["PUT", "GET"]


def test_pages_may_send_what_the_upload_link_asks_for(resources: Resources) -> None:
    (rule,) = resources["FilesBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    # Browsers ask in lower case, and for nothing that needs no asking: Content-Length.
    assert rule["AllowedHeaders"] == ["content-type", "if-none-match", "x-amz-tagging"]
    assert rule["ExposedHeaders"] == ["Content-Disposition", "ETag"]


def test_s3_drops_what_no_message_refers_to_and_nothing_else(resources: Resources) -> None:
    rules = resources["FilesBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (rule,) = (rule for rule in rules if any(name.startswith("Expiration") for name in rule))
    assert rule["Status"] == "Enabled"
    (tag,) = rule["TagFilters"]
    assert (tag["Key"], tag["Value"]) == UNSENT
    # S3 counts from the upload and waits for the next midnight. A file that it may delete by then
    # must have been refused for long.
    assert timedelta(days=rule["ExpirationInDays"]) >= SENDABLE_FOR + timedelta(days=1)


def test_nothing_is_kept_of_what_was_deleted(resources: Resources) -> None:
    assert "VersioningConfiguration" not in resources["FilesBucket"]["Properties"]


def test_files_are_shown_in_place_only_where_a_parameter_says_so() -> None:
    parameter = SOURCE["Parameters"]["ShowFilesInPlace"]
    assert parameter["Default"] == "false"
    assert parameter["AllowedValues"] == ["true", "false"]


def test_unfinished_uploads_are_dropped(resources: Resources) -> None:
    rules = resources["FilesBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert any(rule.get("AbortIncompleteMultipartUpload") for rule in rules)


def test_the_stage_is_throttled_by_parameter(resources: Resources) -> None:
    (stage,) = of_kind(resources, "AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ThrottlingRateLimit"},
        "ThrottlingBurstLimit": {"Ref": "ThrottlingBurstLimit"},
    }


def test_every_parameter_and_output_is_described() -> None:
    for part in ("Parameters", "Outputs"):
        for name, each in SOURCE[part].items():
            assert each.get("Description"), name
    assert "WebSocketURI" in SOURCE["Outputs"]


def test_every_parameter_has_a_default() -> None:
    for name, parameter in SOURCE["Parameters"].items():
        assert "Default" in parameter, name


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "OPEN - no tokens. Whoever knows a user id can connect under it"),
        (
            {"JwtIssuer": "https://issuer.example", "JwtAudience": "chat"},
            "TOKENS - who connects needs a token of https://issuer.example for chat, and is",
        ),
    ],
)
def test_every_deployment_says_who_may_connect(parameters: dict[str, str], says: str) -> None:
    document, values = to_cloudformation(TEMPLATE, parameters, "us-east-1")
    resolver = Resolver(document, values, Names("us-east-1"))
    assert resolver.resolve(document["Outputs"]["WhoMayConnect"]["Value"]).startswith(says)


@pytest.mark.parametrize(
    ("issuer", "is_taken"),
    [
        ("", True),
        ("https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE", True),
        ("https://tenant.auth0.com/", True),
        ("http://127.0.0.1:8080", True),
        ("http://issuer.example", False),
        ("http://127.0.0.1.evil.example:80", False),
        ("issuer.example", False),
        ("https://issuer.example?x", False),
        (" ", False),
    ],
)
def test_an_issuer_is_reached_by_https(issuer: str, *, is_taken: bool) -> None:
    pattern = SOURCE["Parameters"]["JwtIssuer"]["AllowedPattern"]
    # CloudFormation looks at all of the value: the pattern is not to be found in it, but to be it.
    assert (re.fullmatch(pattern, issuer) is not None) == is_taken


def test_an_issuer_comes_with_an_audience() -> None:
    document, _ = to_cloudformation(TEMPLATE, {}, "us-east-1")
    rule = document["Rules"]["AudienceGoesWithIssuer"]
    assert "JwtIssuer" in json.dumps(rule["RuleCondition"])
    assert "JwtAudience" in json.dumps(rule["Assertions"])


def test_cloudformation_can_read_the_file() -> None:
    """It takes neither anchors nor aliases, and a template may have at most 1 MB."""
    tokens = list(yaml.scan(TEMPLATE.read_text()))
    assert not [each for each in tokens if isinstance(each, yaml.AnchorToken | yaml.AliasToken)]


def test_a_plain_deploy_ships_what_was_built() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    assert config["global"]["parameters"] == {
        "stack_name": "serverless-chat-backend",
        "region": "us-east-1",
    }
    for command in ("build", "validate"):
        assert config[command]["parameters"]["template_file"] == "template-python.yaml"
    assert "template_file" not in config["deploy"]["parameters"]
    assert config["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"


def pins(path: Path) -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return dict(line.lower().split("==") for line in lines if line)


def test_what_ships_is_what_was_tested() -> None:
    tested = pins(ROOT / "requirements-dev.txt")
    layer = pins(ROOT / "shared" / "requirements.txt")
    assert layer.keys() == needed_by("aws-lambda-powertools") | needed_by("botocore")
    assert layer.items() <= tested.items()
    on_connect = pins(ROOT / "on_connect" / "requirements.txt")
    assert on_connect.keys() == needed_by("pyjwt") | needed_by("cryptography")
    assert on_connect.items() <= tested.items()


def needed_by(package: str) -> set[str]:
    """Name a package and all that it cannot do without."""
    found = {package}
    for line in requires(package) or []:
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            found |= needed_by(needed.name.lower())
    return {name.replace("_", "-") for name in found}


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_a_function_ships_only_its_module(folder: str) -> None:
    files = {path.name for path in (ROOT / folder).iterdir() if path.name != "__pycache__"}
    assert files == {"lambda_function.py", "requirements.txt"}
    if folder != "on_connect":
        assert pins(ROOT / folder / "requirements.txt") == {}


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_no_function_imports_another(folder: str) -> None:
    source = (ROOT / folder / "lambda_function.py").read_text()
    imported = set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE))
    assert imported <= {"__future__", "chat", "typing"}


def test_the_layer_is_built_with_bytecode() -> None:
    assert SOURCE["Resources"]["ChatLayer"]["Metadata"]["BuildMethod"] == "makefile"
    recipe = (ROOT / "shared" / "Makefile").read_text()
    assert "\nbuild-ChatLayer:\n" in recipe
    # A file's time does not survive the way to Lambda, so it must not decide.
    assert "compileall -q --invalidation-mode unchecked-hash" in recipe
