"""The alarms, the dashboard and the access logs: there only where a parameter asks for them."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.context import ParameterSet

from local.template.intrinsics import Resolver
from local.template.resources import Names
from local.template.transform import to_cloudformation
from tests.support.backend import ROOT
from tests.support.stack import loaded

TEMPLATE = ROOT / "template-python.yaml"
TOPIC = "arn:aws:sns:us-east-1:123456789012:on-call"
WAITING = {"WaitingTopicArn": "arn:aws:sns:us-east-1:123456789012:waiting"}
type Resources = dict[str, dict[str, Any]]


def deployed(**parameters: str) -> Resources:
    """List the resources that a deployment has, their properties resolved where they can be."""
    document, values = to_cloudformation(TEMPLATE, parameters, "us-east-1")
    resolver = Resolver(document, values, Names("us-east-1"))
    return {
        logical_id: resolver.resolve(dict(resource))
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        else dict(resource)
        for logical_id, resource in resolver.resources().items()
    }


def of_kind(resources: Resources, kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in resources.values() if each["Type"] == kind]


@pytest.fixture(scope="module")
def alarms() -> list[dict[str, Any]]:
    return of_kind(
        deployed(Monitoring="true", AlarmTopicArn=TOPIC, **WAITING), "AWS::CloudWatch::Alarm"
    )


def test_monitoring_is_off_by_default() -> None:
    resources = deployed()
    for each in (resources, deployed(**WAITING)):
        kinds = {resource["Type"] for resource in each.values()}
        assert not [kind for kind in kinds if kind.startswith("AWS::CloudWatch::")]
    assert "AccessLogGroup" not in resources


def test_monitoring_adds_a_dashboard_and_alarms() -> None:
    resources = deployed(Monitoring="true")
    assert len(of_kind(resources, "AWS::CloudWatch::Dashboard")) == 1
    assert len(of_kind(resources, "AWS::CloudWatch::Alarm")) == 8
    more = deployed(Monitoring="true", **WAITING)
    assert more.keys() - resources.keys() == {"NotificationFailuresAlarm"}
    assert "AccessLogGroup" not in resources


def test_names_contain_that_of_the_stack(alarms: list[dict[str, Any]]) -> None:
    for alarm in alarms:
        assert alarm["AlarmName"].startswith("local-")
    (dashboard,) = of_kind(deployed(Monitoring="true"), "AWS::CloudWatch::Dashboard")
    # Dashboards are the account's, whatever the region.
    assert dashboard["DashboardName"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}


def test_alarms_notify_the_topic_at_their_begin_and_end(
    alarms: list[dict[str, Any]],
) -> None:
    for alarm in alarms:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
    for alarm in of_kind(deployed(Monitoring="true"), "AWS::CloudWatch::Alarm"):
        assert not {"AlarmActions", "OKActions"} & alarm.keys()


@pytest.mark.parametrize(
    ("arn", "is_taken"),
    [
        ("", True),
        (TOPIC, True),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:t", True),
        ("on-call", False),
        ("arn:aws:sqs:us-east-1:123456789012:q", False),
    ],
)
def test_alarm_topic_must_be_an_arn(arn: str, *, is_taken: bool) -> None:
    document, _ = to_cloudformation(TEMPLATE, {}, "us-east-1")
    pattern = document["Parameters"]["AlarmTopicArn"]["AllowedPattern"]
    assert (re.fullmatch(pattern, arn) is not None) == is_taken


def test_missing_data_triggers_no_alarm(alarms: list[dict[str, Any]]) -> None:
    for alarm in alarms:
        assert alarm["TreatMissingData"] == "notBreaching"


def test_alarms_cover_errors_throttles_pushes_and_duration(alarms: list[dict[str, Any]]) -> None:
    by_name = {alarm["AlarmName"].removeprefix("local-"): alarm for alarm in alarms}
    functions = {"1_on_connect", "2-on-disconnect", "3-send-message", "4-send-file"}
    assert looks_at(by_name["function-throttles"], "Throttles") == functions
    assert looks_at(by_name["errors"], "Errors") == functions
    assert len(looks_at(by_name["errors"], "InternalErrors")) == 4
    tables = {"ChatConnections", "ChatMessages"}
    for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
        watched = looks_at(by_name["table-throttles"], metric)
        assert watched == tables | {"ChatMessages/recipientId-index"}
    assert looks_at(by_name["push-failures"], "PushFailures") == {"send_message"}
    assert by_name["notification-failures"]["MetricName"] == "NotificationFailures"
    slow = by_name["slow"]
    assert (slow["MetricName"], slow["ExtendedStatistic"]) == ("IntegrationLatency", "p99")


def looks_at(alarm: dict[str, Any], metric: str) -> set[str]:
    found = [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]
    return {
        "/".join(dimension["Value"] for dimension in each["Dimensions"])
        for each in found
        if each["MetricName"] == metric
    }


def test_metric_math_of_an_alarm_uses_its_own_metrics(alarms: list[dict[str, Any]]) -> None:
    for alarm in alarms:
        queries = alarm.get("Metrics", [])
        results = [each for each in queries if each.get("ReturnData", True)]
        assert len(results) == bool(queries)
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
        assert len(queries) <= 10
        for each in results:
            named = set(re.findall(r"\b[a-z]\w+\b", each["Expression"]))
            assert named <= {query["Id"] for query in queries}


def test_runbook_has_a_section_for_each_alarm(alarms: list[dict[str, Any]]) -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    headings = re.findall(r"^## `([\w-]+)`$", runbook, re.MULTILINE)
    assert headings == [alarm["AlarmName"].removeprefix("local-") for alarm in alarms]
    for part in re.split(r"^## `.*`$", runbook, flags=re.MULTILINE)[1:]:
        places = [part.find(f"\n**{word}**") for word in ("Means", "First look", "Do")]
        assert -1 not in places
        assert places == sorted(places)
    for anchor in re.findall(r"\]\(#([\w-]+)\)", runbook):
        assert anchor in headings


@pytest.mark.parametrize("parameters", [{}, WAITING], ids=["without a topic", "with a topic"])
def test_dashboard_shows_every_alarm_and_widgets_do_not_overlap(
    parameters: dict[str, str],
) -> None:
    resources = deployed(Monitoring="true", **parameters)
    text, more = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    _, with_topic, without = more["NotificationAlarm"]["Fn::If"]
    added = with_topic["Fn::Sub"] if parameters else without
    body = json.loads(text.replace("${NotificationAlarm}", added))
    (status,) = (each for each in body["widgets"] if each["type"] == "alarm")
    kinds = {name: each["Type"] for name, each in resources.items()}
    shown = {arn.removeprefix("${").removesuffix(".Arn}") for arn in status["properties"]["alarms"]}
    assert shown == {name for name, kind in kinds.items() if kind == "AWS::CloudWatch::Alarm"}
    taken: set[tuple[int, int]] = set()
    for each in body["widgets"]:
        cells = {
            (x, y)
            for x in range(each["x"], each["x"] + each["width"])
            for y in range(each["y"], each["y"] + each["height"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_access_log_group_expires_as_configured() -> None:
    resources = deployed(AccessLogs="true", LogRetentionDays="7")
    (stage,) = of_kind(resources, "AWS::ApiGatewayV2::Stage")
    document, values = to_cloudformation(TEMPLATE, {"AccessLogs": "true"}, "us-east-1")
    resolver = Resolver(document, values, Names("us-east-1"))
    settings = resolver.resolve(stage["AccessLogSettings"])
    assert settings["DestinationArn"] == (
        "arn:aws:logs:us-east-1:123456789012:log-group:/aws/apigateway/local"
    )
    assert resources["AccessLogGroup"]["Properties"]["RetentionInDays"] == {
        "Ref": "LogRetentionDays"
    }
    off, values = to_cloudformation(TEMPLATE, {}, "us-east-1")
    stage = off["Resources"]["ChatApiprodStage"]["Properties"]
    assert "AccessLogSettings" not in Resolver(off, values, Names("us-east-1")).resolve(stage)


def test_access_log_is_json_without_query_and_headers() -> None:
    (stage,) = of_kind(deployed(AccessLogs="true"), "AWS::ApiGatewayV2::Stage")
    line = stage["AccessLogSettings"]["Fn::If"][1]["Format"]
    assert "\n" not in line
    # API Gateway wants it:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-logging.html
    assert json.loads(line)["requestId"] == "$context.requestId"
    assert "authorizer" not in line
    assert "query" not in line
    assert "header" not in line
    assert set(re.findall(r"\$\w+", line)) == {"$context"}


@pytest.mark.parametrize("parameters", [{}, {"Monitoring": "true", "AccessLogs": "true"}])
def test_local_runner_prints_no_warning_about_monitoring(
    tmp_path: Path, parameters: dict[str, str]
) -> None:
    stack = loaded(tmp_path, **parameters)
    assert [notice for notice in stack.notices if "lifecycle" not in notice] == []
    assert stack.warnings == ()


def test_linter_finds_no_mistake_with_any_combination_of_the_parameters() -> None:
    """All in one call: it reads the template once, and resolves it with each combination."""
    combinations = [
        ParameterSet(
            None,
            {
                "Monitoring": monitoring,
                "AccessLogs": access_logs,
                "AlarmTopicArn": topic,
                "WaitingTopicArn": waiting,
            },
        )
        for monitoring, access_logs, topic, waiting in itertools.product(
            ["true", "false"], ["true", "false"], ["", TOPIC], ["", TOPIC]
        )
    ]
    config = ManualArgs(parameters=combinations, regions=["us-east-1"])
    assert lint(TEMPLATE.read_text(), config=config) == []
