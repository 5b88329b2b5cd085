"""What an operator sees: one line an outcome, the metrics behind alarms and dashboard."""

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
from tests.support.backend import ROOT, Backend, Logs
from tests.support.flows import CHAT, LONG_AGO, TEXT, Flows
from tests.support.network import Fault, Network, denied, index_behind, lost_on_its_way, throttled

type Line = dict[str, Any]
type Metric = tuple[str, tuple[tuple[str, str], ...]]
"""A metric's name, and its dimensions."""

# What every line has, of the logger's own and by `chat.websocket.handler`.
COMMON = {
    "level", "message", "timestamp", "service", "cold_start", "function_request_id",
    "connection_id", "request_id",
}  # fmt: skip
TEXT_FRAME = {"action": "sendmessage", "chatId": CHAT, "text": TEXT}
PHOTO = {"action": "sendfile", "chatId": CHAT, "fileName": "a.jpg", "contentType": "image/jpeg"}


def told(logs: Logs) -> list[Line]:
    """Read the lines, without the metrics."""
    return [line for line in logs() if "_aws" not in line]


def the_outcome(logs: Logs) -> tuple[str, Line]:
    """Read the only line, as its message and the fields of its own."""
    (line,) = told(logs)
    assert line["level"] == "INFO"
    assert line.keys() >= COMMON - {"request_id"}
    return line["message"], {name: line[name] for name in line.keys() - COMMON}


def test_a_connect_ends_in_one_line(backend: Backend, logs: Logs) -> None:
    backend.connect("user123")
    assert the_outcome(logs) == ("connected", {"user_id": "user123", "catches_up": False})
    backend.connect("user123", since="0")
    assert the_outcome(logs) == ("connected", {"user_id": "user123", "catches_up": True})


def test_a_disconnect_ends_in_one_line(backend: Backend, logs: Logs) -> None:
    phone = backend.connect("user123")
    logs()
    backend.on_disconnect(events.disconnect(phone, code=1001, reason="Going away"))
    fields = {"close_code": 1001, "close_reason": "Going away"}
    assert the_outcome(logs) == ("disconnected", fields)


def test_a_message_ends_in_one_line(backend: Backend, logs: Logs) -> None:
    sender, _ = backend.connect("user123"), backend.connect("user456")
    logs()
    for duplicate in (False, True):
        ack = backend.say(sender, CHAT, TEXT, clientMessageId="c-1")
        fields = {"message_id": ack["messageId"], "devices": 1, "delivered": 1}
        assert the_outcome(logs) == ("message sent", fields | {"duplicate": duplicate})


def test_a_link_ends_in_one_line(backend: Backend, logs: Logs) -> None:
    sender = backend.connect("user123")
    logs()
    file_key = backend.upload(sender, PHOTO)
    assert the_outcome(logs) == ("upload link made", {"content_type": "image/jpeg"})
    backend.upload(sender, PHOTO | {"size": 9})
    assert the_outcome(logs) == ("upload link made", {"content_type": "image/jpeg", "size": 9})
    backend.send(sender, {"action": "sendfile", "chatId": CHAT, "fileKey": file_key})
    assert the_outcome(logs) == ("download link made", {"content_type": "image/jpeg", "size": 9})


def test_a_catch_up_ends_in_one_line(backend: Backend, logs: Logs, wire: Network) -> None:
    backend.say(backend.connect("user123"), CHAT, TEXT)
    gone = backend.connect("user456", since="0")
    backend.api.leaves_after[gone] = 1
    logs()
    backend.run_queue()
    assert the_outcome(logs) == ("left while catching up", {"replayed": 1})

    backend.connect("user456", since="0")
    logs()
    backend.run_queue()
    assert the_outcome(logs) == ("caught up", {"replayed": 1, "complete": True})

    backend.connect("user456", since="0")
    logs()
    (event,) = wire.queue
    with wire.broken(Fault("dynamodb.Query", throttled)), pytest.raises(Exception, match="busy"):
        backend.send_message(event)
    cause = "ThrottlingException: ThrottlingException (Query)"
    assert the_outcome(logs) == ("catch-up interrupted", {"replayed": 0, "cause": cause})


def test_a_refused_handshake_ends_in_one_line(backend: Backend, logs: Logs) -> None:
    for query, code in (({}, "unauthorized"), ({"userId": "a#b"}, "invalid_request")):
        backend.on_connect(events.connect(events.new_id(), query))
        assert the_outcome(logs) == ("refused", {"code": code})


def test_a_refused_frame_ends_in_one_line(backend: Backend, logs: Logs) -> None:
    sender = backend.connect("user123")
    logs()
    for frame, code in (
        ({"action": "sendmessage", "chatId": "user456#user789", "text": TEXT}, "forbidden"),
        (PHOTO | {"contentType": "a/b"}, "unsupported_type"),
        (PHOTO | {"size": 10**12}, "too_large"),
    ):
        assert backend.send(sender, frame)["code"] == code
        fields = {"code": code, "action": frame["action"]}
        assert the_outcome(logs) == ("refused", fields)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (throttled, "ThrottlingException: ThrottlingException (PutItem)"),
        (lost_on_its_way, "ReadTimeoutError"),
    ],
)
def test_a_refusal_names_the_service_at_fault(
    backend: Backend, logs: Logs, wire: Network, fault: Any, cause: str
) -> None:
    with wire.broken(Fault("dynamodb.PutItem", fault)):
        assert backend.try_to_connect("user123") is None
    assert the_outcome(logs) == ("refused", {"code": "unavailable", "cause": cause})


def test_our_own_mistake_ends_in_one_line(backend: Backend, logs: Logs, wire: Network) -> None:
    with wire.broken(Fault("dynamodb.PutItem", denied)):
        backend.try_to_connect("user123")
    (line,) = told(logs)
    assert (line["level"], line["message"]) == ("ERROR", "unexpected error")


def test_our_own_mistake_is_counted_once(backend: Backend, logs: Logs, wire: Network) -> None:
    sender = backend.connect("user123")
    backend.connect("user456", since="0")
    (event,) = wire.queue
    logs()
    with wire.broken(Fault("dynamodb.BatchGetItem", denied)):
        assert backend.send(sender, TEXT_FRAME)["code"] == "internal"
    assert sum(line.get("InternalErrors", [0])[0] for line in logs()) == 1
    with wire.broken(Fault("dynamodb.Query", denied)), pytest.raises(Exception, match="line"):
        backend.send_message(event)
    # Lambda counts what leaves a handler.
    assert not any("InternalErrors" in line for line in logs())


def test_a_failed_push_says_why(backend: Backend, logs: Logs) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.api.broken[recipient] = 403
    logs()
    backend.say(sender, CHAT, TEXT)
    push, sent = told(logs)
    assert sent["message"] == "message sent"
    assert (push["message"], push["to"]) == ("push failed", recipient)
    assert push["reason"].startswith("ForbiddenException: ")


def metrics_in(lines: list[Line]) -> Iterator[tuple[str, Metric]]:
    """Take the metrics out of the log, as CloudWatch does: each with its namespace."""
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for names in directive["Dimensions"]:
                dimensions = tuple(sorted((name, line[name]) for name in names))
                for metric in directive["Metrics"]:
                    yield directive["Namespace"], (metric["Name"], dimensions)


def everything(backend: Backend, wire: Network) -> None:
    """Do all that can happen."""
    Flows(backend).run()
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


def watched(stack: Stack) -> dict[str, set[Metric]]:
    """List the metrics that alarms and dashboard look at, by namespace."""
    document, values = to_cloudformation(
        ROOT / "template-python.yaml", {"Monitoring": "true"}, stack.region
    )
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
    body = document["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    body = re.sub(r"\$\{(\w+)\.Arn\}", r"\1", body)  # alarms' ARNs are known to AWS alone
    for widget in json.loads(resolver.resolve({"Fn::Sub": body}))["widgets"]:
        for namespace, name, *pairs in spelt_out(widget["properties"].get("metrics", [])):
            dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
            found.setdefault(namespace, set()).add((name, tuple(sorted(dimensions.items()))))
    return found


def spelt_out(metrics: list[list[Any]]) -> Iterator[list[str]]:
    """Write out what a dashboard's metrics abbreviate with "." and "..."."""
    above: list[str] = []
    for row in metrics:
        words = [word for word in row if isinstance(word, str)]
        if words[0] == "...":
            words = above[: max(len(above) - len(words) + 1, 0)] + words[1:]
        above = [above[place] if word == "." else word for place, word in enumerate(words)]
        yield above


def test_alarms_and_dashboard_look_at_metrics_that_exist(
    backend: Backend, logs: Logs, wire: Network, stack: Stack
) -> None:
    everything(backend, wire)
    emitted = list(metrics_in(logs()))
    assert {namespace for namespace, _ in emitted} == {"ServerlessChat/local"}
    assert watched(stack)["ServerlessChat/local"] <= {metric for _, metric in emitted}


def test_every_metric_is_looked_at(
    backend: Backend, logs: Logs, wire: Network, stack: Stack
) -> None:
    everything(backend, wire)
    names = {name for _, (name, _) in metrics_in(logs())}
    assert names == {name for name, _ in watched(stack)["ServerlessChat/local"]}


def test_refusals_are_counted_by_each_code(
    backend: Backend, logs: Logs, wire: Network, stack: Stack
) -> None:
    codes = {each.code for each in errors.ChatError.__subclasses__()}
    by_code: set[Metric] = {("Refusals", (("code", code),)) for code in codes}
    assert by_code <= watched(stack)["ServerlessChat/local"]
    everything(backend, wire)
    assert by_code <= {metric for _, metric in metrics_in(logs())}


def test_a_refusal_leaves_no_mark_on_the_next_metrics(backend: Backend, logs: Logs) -> None:
    backend.on_connect(events.connect(events.new_id(), {}))
    backend.connect("user123")
    refusal, connect = [line for line in logs() if "_aws" in line]
    assert refusal["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"], ["code"]]
    assert connect["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert "code" not in connect


def test_a_catch_up_is_measured(backend: Backend, logs: Logs) -> None:
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


def test_a_text_writes_two_lines(backend: Backend, logs: Logs) -> None:
    """Each is paid for: the outcome, and its metrics."""
    sender, _ = backend.connect("user123"), backend.connect("user456", connected_at=LONG_AGO)
    logs()
    backend.say(sender, CHAT, TEXT)
    outcome, metrics = logs()
    assert outcome["message"] == "message sent"
    assert "_aws" in metrics


# --- The runbook ----------------------------------------------------------------------------------

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
QUERIES = re.findall(r"^```text\n(.*?)^```$", RUNBOOK, re.DOTALL | re.MULTILINE)
# What Insights itself gives, and Lambda's own lines:
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
    """List the fields that a query reads."""
    made = set(re.findall(r" as (\w+)", query))
    words = re.findall(r"@?[A-Za-z_][\w.]*", re.sub(r'"[^"]*"|\b\d+\w*', "", query))
    return set(words) - WORDS - made


def access_log_fields() -> set[str]:
    document, _ = to_cloudformation(ROOT / "template-python.yaml", {}, "us-east-1")
    stage = document["Resources"]["ChatApiprodStage"]["Properties"]
    return set(json.loads(stage["AccessLogSettings"]["Fn::If"][1]["Format"]))


def test_the_runbooks_queries_ask_for_fields_that_lines_have(
    backend: Backend, logs: Logs, wire: Network
) -> None:
    everything(backend, wire)
    lines = told(logs)
    fields = {name for line in lines for name in line}
    assert len(QUERIES) > 10
    for query in QUERIES:
        names = names_in(query)
        assert names <= fields | AWS_FIELDS or names <= access_log_fields() | AWS_FIELDS, query


def test_the_runbook_names_lines_that_are_written(
    backend: Backend, logs: Logs, wire: Network
) -> None:
    everything(backend, wire)
    lines = told(logs)
    messages = {line["message"] for line in lines}
    asked = set(re.findall(r'message = "([^"]+)"', RUNBOOK))
    assert asked
    assert asked <= messages
    table = RUNBOOK.partition("| --- |")[2].partition("\n\n")[0]
    outcomes = {
        name
        for row in table.splitlines()[1:]
        for name in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    assert outcomes <= messages
    codes = set(re.findall(r'code = "([^"]+)"', RUNBOOK))
    assert codes <= {each.code for each in errors.ChatError.__subclasses__()}


def test_every_line_is_in_the_runbook(backend: Backend, logs: Logs, wire: Network) -> None:
    everything(backend, wire)
    for message in {line["message"] for line in told(logs)}:
        assert f"`{message}`" in RUNBOOK.replace("\n", " ")


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_filters_before_it_sums_up(query: str) -> None:
    """What `stats` does not name is gone after it."""
    assert "filter" not in query.partition("stats")[2]
