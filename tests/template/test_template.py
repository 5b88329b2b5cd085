"""The template after SAM's transform."""

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
NOTHING = {"Ref": "AWS::NoValue"}
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
POST_AND_DELETE = {
    ("execute-api:ManageConnections", f"{EXECUTE_API}:${{ChatApi}}/prod/{method}/@connections/*")
    for method in ("POST", "DELETE")
}


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


def test_template_has_four_functions_with_their_documented_names(resources: Resources) -> None:
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
        assert each["Architectures"] == [{"Ref": "Architecture"}]
        assert each["Handler"] == "lambda_function.lambda_handler"
        assert len(each["Layers"]) == 1


def test_functions_run_on_arm64_unless_a_parameter_says_x86_64(resources: Resources) -> None:
    parameter = SOURCE["Parameters"]["Architecture"]
    assert (parameter["Default"], parameter["AllowedValues"]) == ("arm64", ["arm64", "x86_64"])
    (layer,) = of_kind(resources, "AWS::Lambda::LayerVersion").values()
    assert layer["CompatibleArchitectures"] == parameter["AllowedValues"]


@pytest.mark.parametrize(
    ("push_endpoint", "expected"),
    [
        ("", "https://{api}.execute-api.us-east-1.amazonaws.com/prod"),
        (
            "http://127.0.0.1:4566/_aws/execute-api",
            "http://127.0.0.1:4566/_aws/execute-api/{api}/prod",
        ),
    ],
    ids=["AWS", "emulator"],
)
def test_functions_push_to_aws_or_to_the_push_endpoint(push_endpoint: str, expected: str) -> None:
    document, values = to_cloudformation(TEMPLATE, {"PushEndpoint": push_endpoint}, "us-east-1")
    resolver = Resolver(document, values, Names("us-east-1"))
    api = resolver.resolve({"Ref": "ChatApi"})
    for function in ("OnConnectFunction", "SendMessageFunction"):
        variables = document["Resources"][function]["Properties"]["Environment"]["Variables"]
        url = resolver.resolve(variables["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"])
        assert url == expected.format(api=api)


@pytest.mark.parametrize(
    ("push_endpoint", "is_accepted"),
    [
        ("", True),
        ("https://emulator.example/apis", True),
        ("https://emulator.example/apis/", False),
        ("https://emulator.example?x", False),
        ("wss://emulator.example", False),
    ],
)
def test_push_endpoint_parameter_accepts_only_urls_that_a_path_can_follow(
    push_endpoint: str, *, is_accepted: bool
) -> None:
    pattern = SOURCE["Parameters"]["PushEndpoint"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, push_endpoint)) is is_accepted


def test_clients_connect_over_ipv4_and_ipv6(resources: Resources) -> None:
    (api,) = of_kind(resources, "AWS::ApiGatewayV2::Api").values()
    assert api["IpAddressType"] == "dualstack"


def test_each_route_leads_to_its_function(resources: Resources) -> None:
    integrations = of_kind(resources, "AWS::ApiGatewayV2::Integration")
    folders = {}
    for route in of_kind(resources, "AWS::ApiGatewayV2::Route").values():
        target = integrations[route["Target"]["Fn::Join"][1][1]["Ref"]]
        function_arn = target["IntegrationUri"]["Fn::Sub"][1]["FunctionArn"]
        folders[route["RouteKey"]] = FOLDERS[function_arn["Fn::GetAtt"][0]]
    assert folders == {
        "$connect": "on_connect",
        "$disconnect": "on_disconnect",
        "sendmessage": "send_message",
        "getmessages": "send_message",
        "sendfile": "send_file",
    }
    (api,) = of_kind(resources, "AWS::ApiGatewayV2::Api").values()
    assert api["RouteSelectionExpression"] == "$request.body.action"
    (stage,) = of_kind(resources, "AWS::ApiGatewayV2::Stage").values()
    assert stage["StageName"] == "prod"


def test_routes_that_answer_have_a_route_response(resources: Resources) -> None:
    """Without it AWS drops every reply, and neither the transform nor the linter warns."""
    routes = of_kind(resources, "AWS::ApiGatewayV2::Route")
    answered = {
        routes[response["RouteId"]["Ref"]]["RouteKey"]
        for response in of_kind(resources, "AWS::ApiGatewayV2::RouteResponse").values()
        if response["RouteResponseKey"] == "$default"
    }
    assert answered == {"sendmessage", "getmessages", "sendfile"}
    with_expression = {
        route["RouteKey"]
        for route in routes.values()
        if route.get("RouteResponseSelectionExpression") == "$default"
    }
    assert with_expression == answered


def permissions(resources: Resources, role: str) -> set[tuple[str, str]]:
    """Return what a role allows: pairs of an action and a resource in its shortest form."""
    (policy,) = resources[role]["Properties"]["Policies"]
    assert "ManagedPolicyArns" not in resources[role]["Properties"]
    allowed = set()
    for given in policy["PolicyDocument"]["Statement"]:
        # Those with a condition, too.
        _, statement, otherwise = given.get("Fn::If", ("", given, NOTHING))
        assert otherwise == NOTHING
        assert statement.keys() == {"Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        for target in _listed(statement["Resource"]):
            name = target if target == "*" else _shortest(target)
            allowed |= {(each, name) for each in _listed(statement["Action"])}
    return allowed


def _shortest(target: dict[str, Any]) -> str:
    ((_, named),) = target.items()
    return named if isinstance(named, str) else ".".join(named)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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
                ("dynamodb:UpdateItem", "MessagesTable.Arn"),
                ("dynamodb:Query", "MessagesTable.Arn"),
                ("dynamodb:Query", "${MessagesTable.Arn}/index/recipientId-index"),
                ("s3:GetObject", "${FilesBucket.Arn}/*"),
                ("s3:GetObjectTagging", "${FilesBucket.Arn}/*"),
                ("s3:DeleteObjectTagging", "${FilesBucket.Arn}/*"),
                ("s3:PutObject", "${FilesBucket.Arn}/*"),
                ("s3:PutObjectTagging", "${FilesBucket.Arn}/*"),
                ("sns:Publish", "WaitingTopicArn"),
                *POST_AND_DELETE,
            },
        ),
        (
            "SendFile",
            {
                ("dynamodb:GetItem", "ConnectionsTable.Arn"),
                ("s3:PutObject", "${FilesBucket.Arn}/*"),
                ("s3:PutObjectTagging", "${FilesBucket.Arn}/*"),
                ("s3:GetObject", "${FilesBucket.Arn}/*"),
                ("s3:GetObjectTagging", "${FilesBucket.Arn}/*"),
                *POST_AND_DELETE,
            },
        ),
    ],
)
def test_role_allows_exactly_the_actions_of_its_function(
    resources: Resources, function: str, allowed: set[tuple[str, str]]
) -> None:
    own_logs = {(action, f"{function}LogGroup.Arn") for action in LOGS}
    traces = {(action, "*") for action in TRACES}
    assert permissions(resources, f"{function}Role") == allowed | own_logs | traces
    properties = resources[f"{function}Function"]["Properties"]
    assert properties["Role"] == {"Fn::GetAtt": [f"{function}Role", "Arn"]}


def test_template_grants_nothing_outside_the_four_roles(resources: Resources) -> None:
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
                "JWT_AUDIENCE_CLAIM",
                "JWT_USER_CLAIM",
                "CLOSE_EXPIRED_CONNECTIONS",
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
                "MAX_FRAMES_PER_SECOND",
                "FILES_BUCKET",
                "MAX_FILE_BYTES",
                "SHOW_FILES_IN_PLACE",
                "MESSAGE_RETENTION_DAYS",
                "WAITING_TOPIC_ARN",
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
                "MESSAGE_RETENTION_DAYS",
                "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI",
            },
        ),
    ],
)
def test_function_has_only_the_variables_that_it_uses(
    resources: Resources, function: str, variables: set[str]
) -> None:
    environment = resources[f"{function}Function"]["Properties"]["Environment"]["Variables"]
    common = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"}
    assert environment.keys() == variables | common
    # Two stacks must not add to the same metrics.
    namespace = environment["POWERTOOLS_METRICS_NAMESPACE"]
    assert namespace == {"Fn::Sub": "ServerlessChat/${AWS::StackName}"}


@pytest.mark.parametrize(
    ("arn", "is_accepted"),
    [
        ("", True),
        ("arn:aws:sns:us-east-1:123456789012:waiting-messages", True),
        ("arn:aws:sns:us-east-1:123456789012:waiting-messages.fifo", False),
        ("arn:aws:sqs:us-east-1:123456789012:waiting-messages", False),
        ("arn:aws:sns:us-east-1:123456789012:*", False),
        ("waiting-messages", False),
    ],
)
def test_waiting_topic_must_be_a_standard_topic(arn: str, *, is_accepted: bool) -> None:
    pattern = SOURCE["Parameters"]["WaitingTopicArn"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, arn)) is is_accepted


@pytest.mark.parametrize("arn", ["", "arn:aws:sns:us-east-1:123456789012:waiting"])
def test_waiting_topic_adds_a_variable_and_a_permission_only_where_it_is_set(arn: str) -> None:
    document, values = to_cloudformation(TEMPLATE, {"WaitingTopicArn": arn}, "us-east-1")
    resolver = Resolver(document, values, Names("us-east-1"))
    function, role = (document["Resources"][f"SendMessage{each}"] for each in ("Function", "Role"))
    variables = resolver.resolve(function["Properties"]["Environment"]["Variables"])
    assert variables.get("WAITING_TOPIC_ARN", "") == arn
    assert ("WAITING_TOPIC_ARN" in variables) == bool(arn)
    # Without `Sub`: only AWS knows the ids in them.
    (policy,) = role["Properties"]["Policies"]
    statement = resolver.resolve(policy["PolicyDocument"]["Statement"][-1:])
    expected = {"Effect": "Allow", "Action": "sns:Publish", "Resource": arn}
    assert statement == ([expected] if arn else [])


def test_each_function_logs_json_to_its_own_group_with_a_retention(resources: Resources) -> None:
    groups = of_kind(resources, "AWS::Logs::LogGroup")
    for logical_id, function in of_kind(resources, "AWS::Lambda::Function").items():
        group = logical_id.replace("Function", "LogGroup")
        assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": group}}
        name = groups[group]["LogGroupName"]["Fn::Sub"]
        assert name == f"/aws/lambda/{function['FunctionName']['Fn::Sub']}"
        assert groups[group]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_no_function_is_traced_unless_a_parameter_turns_it_on(resources: Resources) -> None:
    assert SOURCE["Parameters"]["Tracing"]["Default"] == "PassThrough"
    for function in of_kind(resources, "AWS::Lambda::Function").values():
        assert function["TracingConfig"] == {"Mode": {"Ref": "Tracing"}}


def test_function_timeouts_are_below_that_of_api_gateway(resources: Resources) -> None:
    for function in of_kind(resources, "AWS::Lambda::Function").values():
        assert function["Timeout"] < 29


def test_tables_have_the_documented_keys_indexes_and_settings(resources: Resources) -> None:
    connections = resources["ConnectionsTable"]["Properties"]
    messages = resources["MessagesTable"]["Properties"]
    assert connections["TableName"]["Fn::Sub"] == "${FunctionNamePrefix}ChatConnections"
    assert messages["TableName"]["Fn::Sub"] == "${FunctionNamePrefix}ChatMessages"
    assert keys(connections) == ["connectionId"]
    assert keys(messages) == ["chatId", "timestamp"]
    assert "GlobalSecondaryIndexes" not in connections
    assert indexes(messages) == {"recipientId-index": ["recipientId", "timestamp"]}
    for table in (connections, messages):
        assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"] == {"SSEEnabled": True}
    assert messages["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def keys(table: dict[str, Any]) -> list[str]:
    return [key["AttributeName"] for key in table["KeySchema"]]


def indexes(table: dict[str, Any]) -> dict[str, list[str]]:
    return {index["IndexName"]: keys(index) for index in table["GlobalSecondaryIndexes"]}


def test_messages_and_files_are_retained_except_when_creating_them_fails(
    resources: Resources,
) -> None:
    for logical_id in ("MessagesTable", "FilesBucket"):
        assert resources[logical_id]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resources[logical_id]["UpdateReplacePolicy"] == "Retain"


def test_bucket_is_private_encrypted_and_tls_only(resources: Resources) -> None:
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


def test_bucket_name_has_account_and_region(resources: Resources) -> None:
    pattern, parts = resources["FilesBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    assert pattern == "chat-files-${AWS::AccountId}-${AWS::Region}-${StackPart}"
    assert "AWS::StackId" in json.dumps(parts)
    # S3 takes at most 63 characters; the longest region's name has 14.
    assert len("chat-files-") + 12 + 1 + 14 + 1 + 12 <= 63


def test_cors_origins_come_from_a_parameter(resources: Resources) -> None:
    (rule,) = resources["FilesBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == {"Ref": "AllowedOrigins"}
    assert rule["AllowedMethods"] == ["PUT", "GET"]


def test_cors_allows_the_headers_of_an_upload(resources: Resources) -> None:
    (rule,) = resources["FilesBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    # Browsers ask in lower case, and do not ask for Content-Length.
    assert rule["AllowedHeaders"] == ["content-type", "if-none-match", "x-amz-tagging"]
    assert rule["ExposedHeaders"] == ["Content-Disposition", "ETag"]


def retaining(days: int) -> tuple[Resolver, Resources]:
    """Return the template of a deployment that keeps messages for so many days."""
    document, values = to_cloudformation(TEMPLATE, {"MessageRetentionDays": str(days)}, "us-east-1")
    return Resolver(document, values, Names("us-east-1")), document["Resources"]


RETENTIONS = SOURCE["Parameters"]["MessageRetentionDays"]["AllowedValues"]


def test_messages_are_kept_without_limit_by_default() -> None:
    assert SOURCE["Parameters"]["MessageRetentionDays"]["Default"] == 0


@pytest.mark.parametrize("days", RETENTIONS)
def test_files_are_deleted_later_than_the_messages_that_refer_to_them(days: int) -> None:
    resolver, resources = retaining(days)
    bucket = resources["FilesBucket"]["Properties"]
    rules = resolver.resolve(bucket["LifecycleConfiguration"]["Rules"])
    expiring = [rule for rule in rules if "TagFilters" not in rule and "ExpirationInDays" in rule]
    assert len(expiring) == (1 if days else 0)
    for rule in expiring:
        assert rule.keys() == {"Id", "Status", "ExpirationInDays"}
        assert rule["Status"] == "Enabled"
        # A file may be sent first a day after its upload. S3 deletes it at the next midnight.
        assert timedelta(int(rule["ExpirationInDays"])) == timedelta(days + 1) + SENDABLE_FOR
    for function in ("SendMessageFunction", "SendFileFunction"):
        variables = resources[function]["Properties"]["Environment"]["Variables"]
        assert resolver.resolve(variables["MESSAGE_RETENTION_DAYS"]) == str(days)


@pytest.mark.parametrize("days", [0, 30])
def test_send_message_may_write_files_only_where_messages_expire(days: int) -> None:
    resolver, resources = retaining(days)
    (policy,) = resources["SendMessageRole"]["Properties"]["Policies"]
    (statement,) = (
        each
        for each in policy["PolicyDocument"]["Statement"]
        if "s3:PutObject" in json.dumps(each) and "Fn::If" in each
    )
    name, granted, otherwise = statement["Fn::If"]
    assert granted["Action"] == ["s3:PutObject", "s3:PutObjectTagging"]
    assert otherwise == {"Ref": "AWS::NoValue"}
    assert resolver.resolve({"Fn::If": [name, True, False]}) is bool(days)


def test_only_unsent_files_expire_by_default() -> None:
    resolver, resources = retaining(0)
    bucket = resources["FilesBucket"]["Properties"]
    rules = resolver.resolve(bucket["LifecycleConfiguration"]["Rules"])
    (rule,) = (rule for rule in rules if any(name.startswith("Expiration") for name in rule))
    assert rule["Status"] == "Enabled"
    (tag,) = rule["TagFilters"]
    assert (tag["Key"], tag["Value"]) == UNSENT
    # S3 counts from the upload and waits for the next midnight. Long before, the backend must
    # refuse to send the file.
    assert timedelta(days=rule["ExpirationInDays"]) >= SENDABLE_FOR + timedelta(days=1)


def test_bucket_keeps_no_versions_of_deleted_files(resources: Resources) -> None:
    assert "VersioningConfiguration" not in resources["FilesBucket"]["Properties"]


def test_files_are_not_shown_in_place_by_default() -> None:
    parameter = SOURCE["Parameters"]["ShowFilesInPlace"]
    assert parameter["Default"] == "false"
    assert parameter["AllowedValues"] == ["true", "false"]


def test_unfinished_uploads_are_deleted(resources: Resources) -> None:
    rules = resources["FilesBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert any(rule.get("AbortIncompleteMultipartUpload") for rule in rules)


def test_throttle_of_the_stage_comes_from_parameters(resources: Resources) -> None:
    (stage,) = of_kind(resources, "AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ThrottlingRateLimit"},
        "ThrottlingBurstLimit": {"Ref": "ThrottlingBurstLimit"},
    }


def test_handshakes_have_a_throttle_apart_from_frames(resources: Resources) -> None:
    (stage_id,) = of_kind(resources, "AWS::ApiGatewayV2::Stage")
    stage = resources[stage_id]
    assert stage["Properties"]["RouteSettings"] == {
        "$connect": {
            "ThrottlingRateLimit": {"Ref": "ConnectRateLimit"},
            "ThrottlingBurstLimit": {"Ref": "ConnectBurstLimit"},
        }
    }
    # Otherwise API Gateway may not know the route yet, and the deployment fails: "Unable to find
    # Route by key $connect within the provided RouteSettings".
    assert "ChatApiConnectRoute" in stage["DependsOn"]


@pytest.mark.parametrize("function", ["OnConnect", "SendMessage"])
def test_concurrency_is_reserved_by_parameter(resources: Resources, function: str) -> None:
    none = {"Ref": "AWS::NoValue"}
    parameter = f"{function}Concurrency"
    assert SOURCE["Parameters"][parameter]["Default"] == 0
    reserved = resources[f"{function}Function"]["Properties"]["ReservedConcurrentExecutions"]
    assert reserved == {"Fn::If": [f"Reserves{function}", {"Ref": parameter}, none]}
    condition = SOURCE["Conditions"][f"Reserves{function}"]
    assert condition == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, 0]}]}


def test_each_parameter_and_output_has_a_description() -> None:
    for part in ("Parameters", "Outputs"):
        for name, each in SOURCE[part].items():
            assert each.get("Description"), name
    assert "WebSocketURI" in SOURCE["Outputs"]


def test_each_parameter_has_a_default() -> None:
    for name, parameter in SOURCE["Parameters"].items():
        assert "Default" in parameter, name


@pytest.mark.parametrize(
    ("parameters", "starts_with"),
    [
        ({}, "OPEN - no tokens. Any client that knows a user id can connect as that user"),
        (
            {"JwtIssuer": "https://issuer.example", "JwtAudience": "chat"},
            "TOKENS - a client needs a token of https://issuer.example for chat, and is",
        ),
    ],
    ids=["open mode", "tokens"],
)
def test_output_says_which_clients_may_connect(
    parameters: dict[str, str], starts_with: str
) -> None:
    document, values = to_cloudformation(TEMPLATE, parameters, "us-east-1")
    resolver = Resolver(document, values, Names("us-east-1"))
    assert resolver.resolve(document["Outputs"]["WhoMayConnect"]["Value"]).startswith(starts_with)


@pytest.mark.parametrize(
    ("issuer", "is_accepted"),
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
def test_issuer_parameter_accepts_only_https_or_this_machine(
    issuer: str, *, is_accepted: bool
) -> None:
    pattern = SOURCE["Parameters"]["JwtIssuer"]["AllowedPattern"]
    # CloudFormation compares the pattern with the whole value.
    assert (re.fullmatch(pattern, issuer) is not None) == is_accepted


def test_template_rule_requires_an_audience_with_an_issuer() -> None:
    document, _ = to_cloudformation(TEMPLATE, {}, "us-east-1")
    rule = document["Rules"]["AudienceGoesWithIssuer"]
    assert "JwtIssuer" in json.dumps(rule["RuleCondition"])
    assert "JwtAudience" in json.dumps(rule["Assertions"])


def test_template_has_no_yaml_anchors_or_aliases() -> None:
    """CloudFormation refuses templates with anchors or aliases."""
    tokens = list(yaml.scan(TEMPLATE.read_text()))
    assert not [each for each in tokens if isinstance(each, yaml.AnchorToken | yaml.AliasToken)]


def test_default_deploy_uses_the_built_template() -> None:
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
    lines = [line.partition("#")[0].strip(" \\") for line in path.read_text().splitlines()]
    lines = [line for line in lines if line and not line.startswith("--hash=")]
    return dict(line.lower().split("==") for line in lines)


@pytest.mark.parametrize("folder", ["shared", "on_connect"])
def test_everything_that_ships_has_hashes(folder: str) -> None:
    """So pip installs nothing else: one hash in a file makes it require one of each package."""
    path = ROOT / folder / "requirements.txt"
    blocks = path.read_text().replace(" \\\n", " ").splitlines()
    shipped = [block for block in blocks if not block.startswith("#")]
    assert len(shipped) == len(pins(path)) > 3
    for block in shipped:
        assert re.fullmatch(r"[\w.-]+==\S+( +--hash=sha256:[0-9a-f]{64})+", block)


def test_shipped_packages_have_the_tested_versions() -> None:
    tested = pins(ROOT / "requirements-dev.txt")
    layer = pins(ROOT / "shared" / "requirements.txt")
    assert layer.keys() == required_by("aws-lambda-powertools") | required_by("botocore")
    assert layer.items() <= tested.items()
    on_connect = pins(ROOT / "on_connect" / "requirements.txt")
    assert on_connect.keys() == required_by("pyjwt") | required_by("cryptography")
    assert on_connect.items() <= tested.items()


def required_by(package: str) -> set[str]:
    """Return the names of a package and of all packages that it requires."""
    found = {package}
    for line in requires(package) or []:
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            found |= required_by(needed.name.lower())
    return {name.replace("_", "-") for name in found}


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_function_folder_has_only_handler_and_requirements(folder: str) -> None:
    files = {path.name for path in (ROOT / folder).iterdir() if path.name != "__pycache__"}
    # These two need packages that only this function has, so they cannot be in the layer.
    verify_tokens = {"tokens.py", "issuer.py"} if folder == "on_connect" else set()
    assert files == {"lambda_function.py", "requirements.txt"} | verify_tokens
    if folder != "on_connect":
        assert pins(ROOT / folder / "requirements.txt") == {}


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_handler_imports_only_the_chat_package(folder: str) -> None:
    source = (ROOT / folder / "lambda_function.py").read_text()
    imported = set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE))
    assert imported <= {"__future__", "chat", "typing"}


def test_layer_is_built_with_bytecode() -> None:
    assert SOURCE["Resources"]["ChatLayer"]["Metadata"]["BuildMethod"] == "makefile"
    recipe = (ROOT / "shared" / "Makefile").read_text()
    assert "\nbuild-ChatLayer:\n" in recipe
    # The layer's archive does not keep the files' times, so they must not decide.
    assert "compileall -q --invalidation-mode unchecked-hash" in recipe
