"""Log lines, metrics, alarms and dashboard, and what the runbook says of them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from chat import errors
from local.template.intrinsics import Resolver
from local.template.model import Stack
from local.template.resources import Names
from local.template.transform import to_cloudformation
from tests.support import events
from tests.support.backend import ROOT, Backend, Container, Logs
from tests.support.flows import CHAT, LONG_AGO, TEXT, Flows
from tests.support.network import Fault, Network, denied, index_behind, lost_on_its_way, throttled
from tests.support.subscriber import TOPIC_ARN

type Line = dict[str, Any]
type Metric = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a metric, and its dimensions."""

# The fields that each line has from the logger and from `chat.websocket.handler`.
COMMON = {
    "level", "message", "timestamp", "service", "cold_start", "function_request_id",
    "connection_id", "request_id",
}  # fmt: skip
TEXT_FRAME = {"action": "sendmessage", "chatId": CHAT, "text": TEXT}
PHOTO = {"action": "sendfile", "chatId": CHAT, "fileName": "a.jpg", "contentType": "image/jpeg"}


@pytest.fixture
def functions(notifying_functions: dict[str, Container]) -> dict[str, Container]:
    return notifying_functions


def lines_of(logs: Logs) -> list[Line]:
    """Read the log lines, without the metrics."""
    return [line for line in logs() if "_aws" not in line]


def outcome_of(logs: Logs) -> tuple[str, Line]:
    """Read the only line; return its message, and the fields that not every line has."""
    (line,) = lines_of(logs)
    assert line["level"] == "INFO"
    assert line.keys() >= COMMON - {"request_id"}
    return line["message"], {name: line[name] for name in line.keys() - COMMON}


def test_connect_writes_one_log_line(backend: Backend, logs: Logs) -> None:
    backend.connect("user123")
    assert outcome_of(logs) == ("connected", {"user_id": "user123", "catches_up": False})
    backend.connect("user123", since="0")
    assert outcome_of(logs) == ("connected", {"user_id": "user123", "catches_up": True})


def test_disconnect_writes_one_log_line(backend: Backend, logs: Logs) -> None:
    phone = backend.connect("user123")
    logs()
    backend.on_disconnect(events.disconnect(phone, code=1001, reason="Going away"))
    fields = {"close_code": 1001, "close_reason": "Going away"}
    assert outcome_of(logs) == ("disconnected", fields)


def test_message_writes_one_log_line(backend: Backend, logs: Logs) -> None:
    sender, _ = backend.connect("user123"), backend.connect("user456")
    logs()
    for duplicate in (False, True):
        ack = backend.say(sender, CHAT, TEXT, clientMessageId="c-1")
        fields = {"message_id": ack["messageId"], "devices": 1, "delivered": 1}
        assert outcome_of(logs) == ("message sent", fields | {"duplicate": duplicate})


def test_upload_and_download_links_write_one_log_line_each(backend: Backend, logs: Logs) -> None:
    sender = backend.connect("user123")
    logs()
    file_key = backend.upload(sender, PHOTO)
    assert outcome_of(logs) == ("upload link made", {"content_type": "image/jpeg"})
    backend.upload(sender, PHOTO | {"size": 9})
    assert outcome_of(logs) == ("upload link made", {"content_type": "image/jpeg", "size": 9})
    backend.send(sender, {"action": "sendfile", "chatId": CHAT, "fileKey": file_key})
    assert outcome_of(logs) == ("download link made", {"content_type": "image/jpeg", "size": 9})


def test_catch_up_writes_one_log_line(backend: Backend, logs: Logs, wire: Network) -> None:
    backend.say(backend.connect("user123"), CHAT, TEXT)
    gone = backend.connect("user456", since="0")
    backend.api.leaves_after[gone] = 1
    logs()
    backend.run_queue()
    assert outcome_of(logs) == ("left while catching up", {"replayed": 1})

    backend.connect("user456", since="0")
    logs()
    backend.run_queue()
    assert outcome_of(logs) == ("caught up", {"replayed": 1, "complete": True})

    backend.connect("user456", since="0")
    logs()
    (event,) = wire.queue
    with wire.broken(Fault("dynamodb.Query", throttled)), pytest.raises(Exception, match="busy"):
        backend.send_message(event)
    cause = "ThrottlingException: ThrottlingException (Query)"
    assert outcome_of(logs) == ("catch-up interrupted", {"replayed": 0, "cause": cause})


def test_refused_handshake_writes_one_log_line(backend: Backend, logs: Logs) -> None:
    not_a_number = "`since` must be a whole number: milliseconds since 1970."
    for query, code, reason in (
        ({}, "unauthorized", "Say who you are: add ?userId=<id> to the URL."),
        ({"userId": "user123", "since": "1h"}, "invalid_request", not_a_number),
    ):
        backend.on_connect(events.connect(events.new_id(), query))
        assert outcome_of(logs) == ("refused", {"code": code, "reason": reason})


def test_refused_frame_writes_one_log_line(backend: Backend, logs: Logs) -> None:
    sender = backend.connect("user123")
    logs()
    for frame, code in (
        ({"action": "sendmessage", "chatId": "user456#user789", "text": TEXT}, "forbidden"),
        (PHOTO | {"contentType": "a/b"}, "unsupported_type"),
        (PHOTO | {"size": 10**12}, "too_large"),
    ):
        assert backend.send(sender, frame)["code"] == code
        fields = {"code": code, "action": frame["action"]}
        assert outcome_of(logs) == ("refused", fields)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (throttled, "ThrottlingException: ThrottlingException (PutItem)"),
        (lost_on_its_way, "ReadTimeoutError"),
    ],
)
def test_refusal_logs_the_failed_call(
    backend: Backend, logs: Logs, wire: Network, fault: Any, cause: str
) -> None:
    with wire.broken(Fault("dynamodb.PutItem", fault)):
        assert backend.try_to_connect("user123") is None
    reason = "The service is busy. Send the same again in a moment."
    assert outcome_of(logs) == (
        "refused",
        {"code": "unavailable", "cause": cause, "reason": reason},
    )


def test_unexpected_error_writes_one_log_line(backend: Backend, logs: Logs, wire: Network) -> None:
    with wire.broken(Fault("dynamodb.PutItem", denied)):
        backend.try_to_connect("user123")
    (line,) = lines_of(logs)
    assert (line["level"], line["message"]) == ("ERROR", "unexpected error")


def test_unexpected_error_is_counted_once(backend: Backend, logs: Logs, wire: Network) -> None:
    sender = backend.connect("user123")
    backend.connect("user456", since="0")
    (event,) = wire.queue
    logs()
    with wire.broken(Fault("dynamodb.BatchGetItem", denied)):
        assert backend.send(sender, TEXT_FRAME)["code"] == "internal"
    assert sum(line.get("InternalErrors", [0])[0] for line in logs()) == 1
    with wire.broken(Fault("dynamodb.Query", denied)), pytest.raises(Exception, match="line"):
        backend.send_message(event)
    # Lambda counts the exceptions that leave a handler.
    assert not any("InternalErrors" in line for line in logs())


def test_failed_push_logs_its_reason(backend: Backend, logs: Logs) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.api.broken[recipient] = 403
    logs()
    backend.say(sender, CHAT, TEXT)
    push, sent, _ = lines_of(logs)  # and nobody has made the topic
    assert sent["message"] == "message sent"
    assert (push["message"], push["to"]) == ("push failed", recipient)
    assert push["reason"].startswith("ForbiddenException: ")


def metrics_in(lines: list[Line]) -> Iterator[tuple[str, Metric]]:
    """Read the metrics from log lines, as CloudWatch does: each with its namespace."""
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for names in directive["Dimensions"]:
                dimensions = tuple(sorted((name, line[name]) for name in names))
                for metric in directive["Metrics"]:
                    yield directive["Namespace"], (metric["Name"], dimensions)


def run_all_outcomes(backend: Backend, wire: Network) -> None:
    """Cause each outcome that a function can log or count."""
    Flows(backend).run()
    # Nobody has made the topic.
    backend.send_message({"send": {"senderId": "a", "chatId": "a#b", "text": TEXT}})
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    file_key = backend.upload(sender, PHOTO)
    for frame in (
        {"action": "sendmessage", "chatId": "user456#user789", "text": TEXT},
        {"action": "sendfile", "chatId": CHAT, "fileKey": file_key.replace("a.jpg", "b.jpg")},
        PHOTO | {"contentType": "a/b"},
        PHOTO | {"size": 10**12},
    ):
        backend.send(sender, frame)
    backend.api.broken[recipient] = 500
    backend.say(sender, CHAT, TEXT)
    backend.api.leaves_after[backend.connect("user456", since="0")] = 1
    backend.run_queue()
    with wire.broken(Fault("dynamodb.Query", index_behind, times=1)):
        backend.catch_up("user456", since=0)
    with wire.broken(Fault("dynamodb.Query", throttled), Fault("dynamodb.BatchGetItem", throttled)):
        backend.connect("user789", since="0")
        backend.say(sender, CHAT, TEXT)
        with pytest.raises(Exception, match="busy"):
            backend.send_message(wire.queue.pop())
    with wire.broken(Fault("dynamodb.DeleteItem", throttled)):
        backend.on_disconnect(events.disconnect(sender))
    for function in backend.containers():
        function({"hello": "world"})


def watched_metrics(stack: Stack) -> dict[str, set[Metric]]:
    """Return the metrics in alarms and on the dashboard, by namespace."""
    parameters = {"Monitoring": "true", "WaitingTopicArn": TOPIC_ARN}
    document, values = to_cloudformation(ROOT / "template-python.yaml", parameters, stack.region)
    resolver = Resolver(document, values, Names(stack.region))
    found: dict[str, set[Metric]] = {}
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            properties = resolver.resolve(resource["Properties"])
            stats = [
                each["MetricStat"]["Metric"]
                for each in properties.get("Metrics", [])
                if "MetricStat" in each
            ]
            for metric in stats or [properties]:
                dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
                found.setdefault(metric["Namespace"], set()).add(
                    (metric["MetricName"], tuple(sorted(dimensions.items())))
                )
    body, more = document["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    body = body.replace("${NotificationAlarm}", more["NotificationAlarm"]["Fn::If"][1]["Fn::Sub"])
    body = re.sub(r"\$\{(\w+)\.Arn\}", r"\1", body)  # only AWS knows the ARNs of alarms
    for widget in json.loads(resolver.resolve({"Fn::Sub": body}))["widgets"]:
        for namespace, name, *pairs in expanded(widget["properties"].get("metrics", [])):
            dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
            found.setdefault(namespace, set()).add((name, tuple(sorted(dimensions.items()))))
    return found


def expanded(metrics: list[list[Any]]) -> Iterator[list[str]]:
    """Yield the metrics of a dashboard without the abbreviations "." and "..."."""
    above: list[str] = []
    for row in metrics:
        words = [word for word in row if isinstance(word, str)]
        if words[0] == "...":
            words = above[: max(len(above) - len(words) + 1, 0)] + words[1:]
        above = [above[place] if word == "." else word for place, word in enumerate(words)]
        yield above


def test_alarms_and_dashboard_use_only_metrics_that_exist(
    backend: Backend, logs: Logs, wire: Network, stack: Stack
) -> None:
    run_all_outcomes(backend, wire)
    emitted = list(metrics_in(logs()))
    assert {namespace for namespace, _ in emitted} == {"ServerlessChat/local"}
    assert watched_metrics(stack)["ServerlessChat/local"] <= {metric for _, metric in emitted}


def test_each_metric_is_in_an_alarm_or_on_the_dashboard(
    backend: Backend, logs: Logs, wire: Network, stack: Stack
) -> None:
    run_all_outcomes(backend, wire)
    names = {name for _, (name, _) in metrics_in(logs())}
    assert names == {name for name, _ in watched_metrics(stack)["ServerlessChat/local"]}


def test_refusals_are_counted_by_code(
    backend: Backend, logs: Logs, wire: Network, stack: Stack
) -> None:
    codes = {each.code for each in errors.ChatError.__subclasses__()}
    by_code: set[Metric] = {("Refusals", (("code", code),)) for code in codes}
    assert by_code <= watched_metrics(stack)["ServerlessChat/local"]
    run_all_outcomes(backend, wire)
    assert by_code <= {metric for _, metric in metrics_in(logs())}


def test_code_of_a_refusal_is_not_in_the_next_metrics(backend: Backend, logs: Logs) -> None:
    backend.on_connect(events.connect(events.new_id(), {}))
    backend.connect("user123")
    refusal, connect = [line for line in logs() if "_aws" in line]
    assert refusal["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"], ["code"]]
    assert connect["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert "code" not in connect


def test_catch_up_counts_messages_and_measures_its_duration(backend: Backend, logs: Logs) -> None:
    sender = backend.connect("user123")
    for expected in (0, 1):
        backend.connect("user456", since="0")
        logs()
        backend.run_queue()
        (line,) = (line for line in logs() if "_aws" in line)
        assert (line["CatchUps"], line["MessagesReplayed"]) == ([1.0], [expected])
        assert line["CatchUpDuration"][0] > 0
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert {"Name": "CatchUpDuration", "Unit": "Milliseconds"} in directive["Metrics"]
        backend.say(sender, CHAT, TEXT)


def test_text_writes_one_line_and_its_metrics(backend: Backend, logs: Logs) -> None:
    """Each line costs money: one for the outcome, and one for its metrics."""
    sender, _ = backend.connect("user123"), backend.connect("user456", connected_at=LONG_AGO)
    logs()
    backend.say(sender, CHAT, TEXT)
    outcome, metrics = logs()
    assert outcome["message"] == "message sent"
    assert "_aws" in metrics


# --- The runbook ----------------------------------------------------------------------------------

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
QUERIES = re.findall(r"^```text\n(.*?)^```$", RUNBOOK, re.DOTALL | re.MULTILINE)
# Fields of Insights itself, and of the lines that Lambda writes:
# https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
AWS_FIELDS = {
    "@timestamp", "@log", "type", "record.requestId", "record.status",
    "record.metrics.durationMs", "record.metrics.initDurationMs",
}  # fmt: skip
WORDS = {
    "fields", "filter", "sort", "stats", "limit", "by", "as", "asc", "desc", "and", "or",
    "count", "pct", "bin", "ispresent",
}  # fmt: skip


def names_in(query: str) -> set[str]:
    """Return the fields that a query reads."""
    aliases = set(re.findall(r" as (\w+)", query))
    words = re.findall(r"@?[A-Za-z_][\w.]*", re.sub(r'"[^"]*"|\b\d+\w*', "", query))
    return set(words) - WORDS - aliases


def access_log_fields() -> set[str]:
    document, _ = to_cloudformation(ROOT / "template-python.yaml", {}, "us-east-1")
    stage = document["Resources"]["ChatApiprodStage"]["Properties"]
    return set(json.loads(stage["AccessLogSettings"]["Fn::If"][1]["Format"]))


def test_queries_of_the_runbook_use_existing_fields(
    backend: Backend, logs: Logs, wire: Network
) -> None:
    run_all_outcomes(backend, wire)
    lines = lines_of(logs)
    fields = {name for line in lines for name in line}
    assert len(QUERIES) > 10
    for query in QUERIES:
        names = names_in(query)
        assert names <= fields | AWS_FIELDS or names <= access_log_fields() | AWS_FIELDS, query


def test_messages_and_codes_in_the_runbook_exist(
    backend: Backend, logs: Logs, wire: Network
) -> None:
    run_all_outcomes(backend, wire)
    lines = lines_of(logs)
    messages = {line["message"] for line in lines}
    queried = set(re.findall(r'message = "([^"]+)"', RUNBOOK))
    assert queried
    assert queried <= messages
    table = RUNBOOK.partition("| --- |")[2].partition("\n\n")[0]
    outcomes = {
        name
        for row in table.splitlines()[1:]
        for name in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    assert outcomes <= messages
    codes = set(re.findall(r'code = "([^"]+)"', RUNBOOK))
    assert codes <= {each.code for each in errors.ChatError.__subclasses__()}


def test_each_log_message_is_in_the_runbook(backend: Backend, logs: Logs, wire: Network) -> None:
    run_all_outcomes(backend, wire)
    for message in {line["message"] for line in lines_of(logs)}:
        assert f"`{message}`" in RUNBOOK.replace("\n", " ")


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.split())[:80])
def test_query_of_the_runbook_has_no_filter_after_stats(query: str) -> None:
    """After `stats`, a query has only the fields that `stats` names."""
    assert "filter" not in query.partition("stats")[2]
