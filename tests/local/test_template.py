"""Parameters, intrinsic functions and whole templates, as CloudFormation reads them."""

import re
from pathlib import Path
from typing import Any

import pytest

from local.errors import LocalError, Unresolvable
from local.template.intrinsics import Resolver
from local.template.loader import load
from local.template.model import Stack, Throttle
from local.template.parameters import parameter_values, parse_overrides
from local.template.properties import Properties
from local.template.resources import Names

TEMPLATES = Path(__file__).with_name("templates")


def load_template(path: Path, scratch: Path, api: str | None = None, **overrides: str) -> Stack:
    return load(path, overrides=overrides, region="eu-west-1", api=api, scratch=scratch)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    return path


# --- parameters -----------------------------------------------------------------------------------


def test_parameter_override_replaces_the_default() -> None:
    declared: dict[str, dict[str, Any]] = {
        "A": {"Type": "String", "Default": "a"},
        "B": {"Type": "Number", "Default": 1},
    }
    assert parameter_values(declared, parse_overrides(["A=x=y"])) == {"A": "x=y", "B": "1"}


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ({"Type": "String", "AllowedValues": ["a", True]}, "b"),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, "A"),
        ({"Type": "String", "MaxLength": 2}, "abc"),
        ({"Type": "Number", "MinValue": 2}, "1"),
        ({"Type": "Number"}, "many"),
        ({"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}, "a, c"),
    ],
    ids=str,
)
def test_parameter_value_against_its_rules_is_refused(rules: dict[str, Any], value: str) -> None:
    with pytest.raises(LocalError, match="parameter P"):
        parameter_values({"P": rules}, {"P": value})


def test_override_of_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(LocalError, match="no parameter Q"):
        parameter_values({"P": {"Type": "String", "Default": ""}}, {"Q": "1"})
    with pytest.raises(LocalError, match="takes Key=Value"):
        parse_overrides(["P"])


def test_all_parameters_without_a_value_are_named_with_the_option_to_paste() -> None:
    declared = {"P": {"Type": "String"}, "Q": {"Type": "String"}, "R": {"Type": "String"}}
    with pytest.raises(LocalError, match=r"--parameter-overrides P=VALUE R=VALUE$"):
        parameter_values(declared, {"Q": "q"})


def test_parameter_of_systems_manager_has_its_override_as_its_value() -> None:
    declared = {"P": {"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": "/a/name"}}
    assert parameter_values(declared, {"P": "x,y"}) == {"P": "x,y"}
    assert parameter_values(declared, {}) == {}
    resolver = Resolver({"Parameters": declared}, {"P": "x,y"}, Names("eu-west-1"))
    assert resolver.resolve({"Ref": "P"}) == ["x", "y"]


# --- intrinsic functions --------------------------------------------------------------------------

DOCUMENT: dict[str, Any] = {
    "Parameters": {"Name": {"Type": "String"}, "List": {"Type": "CommaDelimitedList"}},
    "Conditions": {
        "Yes": {"Fn::Equals": [{"Ref": "Name"}, "n"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "OfNumber": {"Fn::Equals": [{"Fn::Sub": "0"}, 0]},
        "OfBoolean": {"Fn::Equals": [True, "true"]},
    },
    "Mappings": {"M": {"a": {"b": "found"}}},
    "Resources": {
        "T": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": {"Ref": "Name"}}},
        "B": {"Type": "AWS::S3::Bucket"},
        "F": {"Type": "AWS::Lambda::Function"},
        "L": {"Type": "AWS::Lambda::LayerVersion"},
        "Q": {"Type": "AWS::SQS::Queue"},
        "S": {"Type": "AWS::SNS::Topic"},
        "A": {"Type": "AWS::ApiGatewayV2::Api"},
        "Never": {"Type": "AWS::S3::Bucket", "Condition": "No"},
    },
}


@pytest.fixture
def resolver() -> Resolver:
    return Resolver(DOCUMENT, {"Name": "n", "List": "x, y"}, Names("eu-west-1"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Name"}, "n"),
        ({"Ref": "List"}, ["x", "y"]),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "T"}, "n"),
        ({"Ref": "B"}, "local-b"),
        ({"Ref": "F"}, "local-F"),
        ({"Ref": "L"}, "arn:aws:lambda:eu-west-1:123456789012:layer:L:1"),
        ({"Ref": "Q"}, "https://sqs.eu-west-1.amazonaws.com/123456789012/local-Q"),
        ({"Ref": "S"}, "arn:aws:sns:eu-west-1:123456789012:local-S"),
        ({"Fn::GetAtt": ["T", "Arn"]}, "arn:aws:dynamodb:eu-west-1:123456789012:table/n"),
        ({"Fn::GetAtt": "F.Arn"}, "arn:aws:lambda:eu-west-1:123456789012:function:local-F"),
        ({"Fn::GetAtt": "B.RegionalDomainName"}, "local-b.s3.eu-west-1.amazonaws.com"),
        (
            {"Fn::Sub": "${T}/${T.Arn}/${!T}"},
            "n/arn:aws:dynamodb:eu-west-1:123456789012:table/n/${T}",
        ),
        ({"Fn::Sub": ["${T}-${X}", {"T": "mine", "X": {"Ref": "Name"}}]}, "mine-n"),
        ({"Fn::Join": ["+", [1, True, {"Ref": "Name"}]]}, "1+true+n"),
        ({"Fn::Join": ["+", {"Ref": "List"}]}, "x+y"),
        ({"Fn::Select": ["1", {"Ref": "List"}]}, "y"),
        ({"Fn::Split": ["/", "a/b"]}, ["a", "b"]),
        ({"Fn::If": ["Yes", "then", "else"]}, "then"),
        ({"Fn::If": ["OfNumber", "then", "else"]}, "then"),
        ({"Fn::If": ["OfBoolean", "then", "else"]}, "then"),
        ({"Fn::FindInMap": ["M", "a", "b"]}, "found"),
        ({"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]}, False),
        ({"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]}, True),
        ({"Fn::Base64": "text"}, "dGV4dA=="),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [{"Ref": "AWS::NoValue"}, 1]}, {"b": [1]}),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ),
    ],
    ids=str,
)
def test_intrinsic_function_is_evaluated(resolver: Resolver, value: Any, expected: Any) -> None:
    assert resolver.resolve(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Nobody"},
        {"Ref": "Never"},
        {"Fn::GetAtt": "T.Colour"},
        {"Fn::ImportValue": "other-stack"},
        {"Fn::Select": [7, ["a"]]},
        {"Fn::FindInMap": ["M", "a", "c"]},
        {"Fn::If": ["Maybe", 1, 2]},
        {"Fn::Sub": "${List}"},
    ],
    ids=str,
)
def test_intrinsic_function_that_cannot_be_evaluated_is_an_error(
    resolver: Resolver, value: Any
) -> None:
    with pytest.raises(Unresolvable):
        resolver.resolve(value)


def test_stack_id_ends_in_a_uuid(resolver: Resolver) -> None:
    stack_id = resolver.resolve({"Ref": "AWS::StackId"})
    assert re.fullmatch(
        r"arn:aws:cloudformation:eu-west-1:123456789012:stack/local/\w{8}(-\w{4}){3}-\w{12}",
        stack_id,
    )


def test_resource_with_a_false_condition_does_not_exist(resolver: Resolver) -> None:
    assert "Never" not in resolver.resources(lambda _name, _error: None)


def test_resource_whose_condition_only_aws_knows_is_left_out_and_named() -> None:
    document = {
        "Parameters": {"Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/a"}},
        "Conditions": {"Maybe": {"Fn::Equals": [{"Ref": "Stored"}, "x"]}},
        "Resources": {"B": {"Type": "AWS::S3::Bucket", "Condition": "Maybe"}},
    }
    named: list[str] = []
    resolver = Resolver(document, {}, Names("eu-west-1"))
    assert resolver.resources(lambda name, _error: named.append(name)) == {}
    assert named == ["B"]


# --- whole templates ------------------------------------------------------------------------------


def test_plain_cloudformation_template_is_read(tmp_path: Path) -> None:
    stack = load_template(TEMPLATES / "rooms.yaml", tmp_path)
    function = stack.functions["join-rooms"]
    environment = dict(function.environment)
    assert environment == {
        "TABLE": "members-rooms",
        "TABLE_ARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/members-rooms",
        "GREETING": "salut",
        "LAST": "west",
        "BOTH": "no",
        "EITHER": "no",
        "ENCODED": "c2VjcmV0",
        "LITERAL": "${NotReplaced} 123456789012",
        "CLUSTER": "Fn::GetAtt Cluster.Endpoint.Address (AWS::RDS::DBCluster) is known only to AWS",
        "ZONE": "eu-west-1a",
    }
    assert (function.timeout_s, function.memory_mib) == (3, 128)
    assert stack.api.routes["join-room"].replies
    assert not stack.api.routes["rare"].replies
    assert stack.api.routes["rare"].throttle == Throttle(0.001, 1)
    assert [item.name for item in stack.storage] == ["members-rooms"]


def test_parameter_overrides_change_conditions_mappings_and_names(tmp_path: Path) -> None:
    stack = load_template(TEMPLATES / "rooms.yaml", tmp_path, Size="large", Loud="true", Suffix="x")
    function = stack.functions["join-x"]
    environment = dict(function.environment)
    assert (environment["VOLUME"], environment["BOTH"], environment["EITHER"]) == (
        "x!",
        "yes",
        "yes",
    )
    assert (function.timeout_s, function.memory_mib) == (9, 512)
    assert [item.name for item in stack.storage] == ["members-x", "loud-members-x"]


@pytest.mark.parametrize(("built", "folder"), [(False, "layer"), (True, "layer/python")])
def test_layer_is_read_before_and_after_sam_build(
    tmp_path: Path, folder: str, *, built: bool
) -> None:
    (tmp_path / "layer" / "python" if built else tmp_path / "layer").mkdir(parents=True)
    text = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: WEBSOCKET}}
  Stage: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: prod}}
  F:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, Layers: [!Ref Layer]}
  Layer:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.13}
    Properties: {ContentUri: layer}
"""
    stack = load_template(written(tmp_path, text), tmp_path)
    assert stack.functions["local-F"].layers == (tmp_path / folder,)
    assert stack.functions["local-F"].code == tmp_path


def test_part_that_is_not_imitated_is_a_notice(tmp_path: Path) -> None:
    stack = load_template(TEMPLATES / "rooms.yaml", tmp_path)
    assert stack.notices == (
        (
            "Join: variable CLUSTER: Fn::GetAtt Cluster.Endpoint.Address"
            " (AWS::RDS::DBCluster) is known only to AWS"
        ),
        "route http: integration HTTP (https://example.com) does not run here",
        "Cluster (AWS::RDS::DBCluster) does not exist here",
    )
    assert stack.api.routes["http"].function is None


def test_sam_template_with_a_cloudformation_api_is_read(tmp_path: Path) -> None:
    stack = load_template(TEMPLATES / "auction.yaml", tmp_path, Currency="EUR")
    assert stack.api.routes["bid"].function == "local-BidFunction"  # by a stage variable
    assert stack.api.throttle == Throttle(100, 50)
    authorizer = stack.api.routes["$connect"].authorizer
    assert authorizer is not None
    assert authorizer.function == "local-AuthorizerFunction"
    assert authorizer.identity_sources == ("route.request.header.X-Bidder",)
    bid = stack.functions["local-BidFunction"]
    assert bid.layers == (TEMPLATES / "auction" / "common" / "python",)
    assert dict(bid.environment)["LEDGER"] == "local-LedgerFunction"
    assert stack.functions["local-LedgerFunction"].max_retries == 1
    assert "NodeFunction: runtime nodejs22.x does not run" in stack.notices
    assert [item.name for item in stack.storage] == ["local-records", "local-Queue"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Resources: [", "line 1: not valid YAML"),
        ("Resources: {F: {}}", "resource F has no Type"),
        ("Description: nothing", "has no Resources"),
        ("Resources: {}", "has no WebSocket API"),
        (
            (
                "Transform: AWS::Serverless-2016-10-31\n"
                "Resources: {A: {Type: AWS::Serverless::WebSocketApi}}"
            ),
            "Resource with id",
        ),
        (
            (
                "Resources:\n"
                "  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.13, Code: []}}"
            ),
            "F: Code must be a mapping",
        ),
        (
            (
                "Resources:\n"
                "  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.13, Code: .}}"
            ),
            "F: Handler is missing",
        ),
        (
            "Resources: {F: {Type: AWS::Lambda::Function, Condition: Maybe}}",
            "there is no condition Maybe",
        ),
    ],
)
def test_broken_template_is_a_one_line_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LocalError, match=re.escape(message)) as error:
        load_template(written(tmp_path, text), tmp_path)
    assert "\n" not in str(error.value)


def resources(**changes: str) -> str:
    """Return a template; each change is the text of a resource's properties, in YAML."""
    kinds = {
        "Api": "ApiGatewayV2::Api",
        "Stage": "ApiGatewayV2::Stage",
        "Route": "ApiGatewayV2::Route",
        "Integration": "ApiGatewayV2::Integration",
        "Authorizer": "ApiGatewayV2::Authorizer",
        "Response": "ApiGatewayV2::RouteResponse",
        "F": "Lambda::Function",
        "Layer": "Lambda::LayerVersion",
        "Retries": "Lambda::EventInvokeConfig",
        "Permission": "Lambda::Permission",
        "Table": "DynamoDB::Table",
        "Bucket": "S3::Bucket",
    }
    properties = {
        "Api": "{ProtocolType: WEBSOCKET}",
        "Stage": "{ApiId: !Ref Api, StageName: prod, AutoDeploy: true}",
        "F": "{Runtime: python3.13, Handler: app.handler, Code: {ZipFile: ''}}",
        **changes,
    }
    return "Resources:\n" + "".join(
        f"  {name}: {{Type: 'AWS::{kinds[name]}', Properties: {text}}}\n"
        for name, text in properties.items()
    )


def test_key_that_yaml_reads_as_a_number_is_text(tmp_path: Path) -> None:
    throttle = "{ThrottlingRateLimit: 2, ThrottlingBurstLimit: 3}"
    template = resources(
        Stage=f"{{ApiId: !Ref Api, StageName: 1, RouteSettings: {{7: {throttle}}}}}",
        Route="{ApiId: !Ref Api, RouteKey: 7}",
    )
    stack = load_template(written(tmp_path, template), tmp_path)
    assert stack.api.stage == "1"
    assert stack.api.routes["7"].throttle == Throttle(2, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Api": "[1]"}, "Api: Properties must be a mapping, not [1]"),
        ({"Api": "{ProtocolType: [WEBSOCKET]}"}, "Api: ProtocolType must be text"),
        (
            {"Api": "{ProtocolType: WEBSOCKET, RouteSelectionExpression: {a: 1}}"},
            "Api: RouteSelectionExpression must be text, not {'a': 1}",
        ),
        ({"Stage": "{StageName: prod}"}, "Stage: ApiId is missing"),
        ({"Stage": "{ApiId: !Ref Api}"}, "Stage: StageName is missing"),
        (
            {"Stage": "{ApiId: !Ref Api, StageName: prod, StageVariables: [a]}"},
            "Stage: StageVariables must be a mapping, not ['a']",
        ),
        (
            {"Stage": "{ApiId: !Ref Api, StageName: prod, StageVariables: {a: [b]}}"},
            "Stage: StageVariables.a must be text, not ['b']",
        ),
        (
            {"Stage": "{ApiId: !Ref Api, StageName: prod, RouteSettings: {r: fast}}"},
            "Stage: RouteSettings.r must be a mapping, not 'fast'",
        ),
        (
            {
                "Stage": "{ApiId: !Ref Api, StageName: prod,"
                " DefaultRouteSettings: {ThrottlingRateLimit: fast}}"
            },
            "Stage: DefaultRouteSettings.ThrottlingRateLimit must be a number, not 'fast'",
        ),
        ({"Route": "{ApiId: !Ref Api}"}, "Route: RouteKey is missing"),
        ({"Route": "{ApiId: !Ref Api, RouteKey: {}}"}, "Route: RouteKey must be text, not {}"),
        (
            {"Route": "{ApiId: !Ref Api, RouteKey: r, Target: !Ref Nothing}"},
            "Route: Target: there is no resource or parameter Nothing",
        ),
        ({"Response": "{ApiId: !Ref Api}"}, "Response: RouteId is missing"),
        ({"Integration": "{ApiId: !Ref Api}"}, "Integration: IntegrationType is missing"),
        (
            {"Integration": "{ApiId: !Ref Api, IntegrationType: MOCK, TimeoutInMillis: soon}"},
            "Integration: TimeoutInMillis must be a number, not 'soon'",
        ),
        (
            {"Authorizer": "{ApiId: !Ref Api, IdentitySource: route.request.header.a}"},
            "Authorizer: IdentitySource must be a list, not 'route.request.header.a'",
        ),
        (
            {"Authorizer": "{ApiId: !Ref Api, IdentitySource: [[a]]}"},
            "Authorizer: IdentitySource must be a list of texts, not [['a']]",
        ),
        ({"F": "{Runtime: python3.13, Code: {ZipFile: ''}}"}, "F: Handler is missing"),
        ({"F": "{Runtime: python3.13, Code: {ZipFile: [a]}}"}, "F: Code.ZipFile must be text"),
        ({"F": "{Runtime: {}}"}, "F: Runtime must be text, not {}"),
        (
            {"F": "{Runtime: python3.13, Handler: a.b, Code: {ZipFile: ''}, Timeout: soon}"},
            "F: Timeout must be a number, not 'soon'",
        ),
        (
            {"F": "{Runtime: python3.13, Handler: a.b, Code: {ZipFile: ''}, Layers: a}"},
            "F: Layers must be a list, not 'a'",
        ),
        (
            {"F": "{Runtime: python3.13, Handler: a.b, Code: {ZipFile: ''}, Environment: [a]}"},
            "F: Environment must be a mapping, not ['a']",
        ),
        (
            {
                "F": "{Runtime: python3.13, Handler: a.b, Code: {ZipFile: ''},"
                " LoggingConfig: {LogFormat: []}}"
            },
            "F: LoggingConfig.LogFormat must be text, not []",
        ),
        ({"Layer": "{Content: {S3Bucket: local}}"}, "Layer: Content.S3Key is missing"),
        ({"Retries": "{}"}, "Retries: FunctionName is missing"),
        (
            {"Retries": "{FunctionName: f, MaximumRetryAttempts: many}"},
            "Retries: MaximumRetryAttempts must be a number, not 'many'",
        ),
        ({"Permission": "{FunctionName: f}"}, "Permission: Principal is missing"),
        (
            {"Table": "{StreamSpecification: NEW_IMAGE}"},
            "Table: StreamSpecification must be a mapping, not 'NEW_IMAGE'",
        ),
        (
            {"Bucket": "{CorsConfiguration: {CorsRules: [all]}}"},
            "Bucket: CorsConfiguration.CorsRules must be a list of mappings, not ['all']",
        ),
        (
            {"Bucket": "{BucketName: !Select [first, [a]]}"},
            "Bucket: BucketName: Fn::Select cannot take ['first', ['a']]",
        ),
    ],
)
def test_wrong_property_is_a_one_line_error_that_names_resource_and_property(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(LocalError) as error:
        load_template(written(tmp_path, resources(**changes)), tmp_path)
    line = str(error.value)
    assert line.startswith(f"{tmp_path / 'template.yaml'}: {message}")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Parameters: [P]", "Parameters must be a mapping, not ['P']"),
        ("Parameters: {P: String}", "Parameters.P must be a mapping, not 'String'"),
        ("Parameters: {P: {Type: [String], Default: a}}", "parameter P: Type must be text"),
        (
            "Parameters: {P: {Type: String, Default: a, AllowedValues: a}}",
            "parameter P: AllowedValues must be a list, not 'a'",
        ),
        (
            "Parameters: {P: {Type: String, Default: a, AllowedPattern: '['}}",
            "parameter P: AllowedPattern must be a regular expression",
        ),
        (
            "Parameters: {P: {Type: Number, Default: 1, MinValue: none}}",
            "parameter P: MinValue must be a number, not 'none'",
        ),
        ("Mappings: text", "Mappings must be a mapping, not 'text'"),
        ("Globals: {Function: text}", "Globals.Function must be a mapping, not 'text'"),
        ("Conditions: {C: {}}", "there is no condition ['C']"),
    ],
)
def test_wrong_section_is_a_one_line_error_that_names_it(
    tmp_path: Path, text: str, message: str
) -> None:
    broken = resources() + "  Q: {Type: 'AWS::SQS::Queue', Condition: [C]}\n" + text
    with pytest.raises(LocalError, match=re.escape(message)) as error:
        load_template(written(tmp_path, broken), tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [AttributeError, KeyError, TypeError, ValueError])
@pytest.mark.parametrize(
    ("owner", "name"), [(Names, "ref"), (Resolver, "_sub"), (Properties, "text")]
)
def test_error_of_the_runner_itself_is_not_blamed_on_the_template(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    kind: type[Exception],
) -> None:
    def fail(*_: object) -> None:
        raise kind("a bug")

    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(kind, match="a bug"):
        load_template(TEMPLATES / "rooms.yaml", tmp_path)


def test_template_with_several_apis_needs_a_choice(tmp_path: Path) -> None:
    conformance = Path(__file__).parents[1] / "conformance" / "template.yaml"
    with pytest.raises(LocalError, match="--api: Api or GuardedApi"):
        load_template(conformance, tmp_path)
    assert load_template(conformance, tmp_path, api="GuardedApi").api.stage == "guarded"
