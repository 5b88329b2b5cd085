"""What `sam deploy` deploys, used by real clients, updated and deleted."""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from botocore.exceptions import ClientError, WaiterError
from websockets.exceptions import ConnectionClosed, InvalidStatus

from personal_data.__main__ import main
from tests.deploy.conftest import MAX_CONNECTIONS
from tests.deploy.emulator import (
    COLD_START_TIMEOUT_S,
    REGION,
    STACK,
    Deployment,
    Emulator,
    Sam,
    device,
)
from tests.deploy.first_edition import first_edition
from tests.smoke import smoke
from tests.support.backend import ROOT
from tests.support.blocking_client import connect
from tests.support.device import Device
from tests.support.issuer import AUDIENCE, issuer
from tests.support.subscriber import TOPIC, Subscriber
from tests.support.users import Pair

OTHER = f"{STACK}-other"
"""A second stack in the same account and region."""
NAMES = {"FunctionNamePrefix": "other-"}
# It waits in vain for a signal, once the table and the bucket are there.
THAT_FAILS = """\
  Handle:
    Type: AWS::CloudFormation::WaitConditionHandle
  Wait:
    Type: AWS::CloudFormation::WaitCondition
    DependsOn: [MessagesTable, FilesBucket]
    Properties: { Handle: { Ref: Handle }, Timeout: "1" }
"""


def text_of(pair: Pair, text: str, client_message_id: str) -> dict[str, str]:
    return {
        "action": "sendmessage",
        "chatId": pair.chat_id,
        "text": text,
        "clientMessageId": client_message_id,
    }


def catch_up(client: Device) -> list[str]:
    """Receive until `synced`; return the texts."""
    texts: list[str] = []
    while (frame := client.receive())["type"] != "synced":
        texts += [each["text"] for each in frame.get("messages", [])]
    return texts


def receive_live(client: Device, text: str) -> dict[str, Any]:
    """Receive until a message that is pushed live says that.

    A catch-up that an update of the function interrupts runs again, and brings others in between.
    """
    while (frame := client.receive()).get("text") != text:
        assert frame["type"] in {"messages", "synced"}, frame
    return frame


def texts(page: dict[str, Any]) -> list[str]:
    return [each["text"] for each in page["messages"]]


def refusal(url: str) -> int:
    """Return the status of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refused, connect(url, timeout_s=COLD_START_TIMEOUT_S):
        pass
    return refused.value.response.status_code


def transcript(command: str) -> list[str]:
    """Return the lines that the README shows below a command."""
    readme = (ROOT / "README.md").read_text()
    (shown,) = re.findall(rf"^\$ {re.escape(command)}.*\n([^`]+)^```", readme, re.MULTILINE)
    return [comparable(line) for line in shown.splitlines() if line != "…"]


def comparable(line: str) -> str:
    """Replace what differs from run to run: times, and the API's id."""
    return re.sub(r"\d+\.\d\d s|\w+(?=\.execute-api)", "#", line).strip()


@contextlib.contextmanager
def cleaned_up(aws: Emulator) -> Iterator[None]:
    """Delete the second stack and what it leaves behind, so that another test can use its names."""
    yield
    if OTHER in aws.stacks():
        wait_for_disconnects(aws)
        assert not aws.denied()
        aws.delete_stack(OTHER)
    aws.client("dynamodb").delete_table(TableName="other-ChatMessages")


def wait_for_disconnects(aws: Emulator) -> None:
    """Wait for the last `$disconnect` of the second stack, which needs its role and table."""
    dynamodb, deadline = aws.client("dynamodb"), time.monotonic() + COLD_START_TIMEOUT_S
    # A connection's row names its user.
    while "userId" in str(rows := dynamodb.scan(TableName="other-ChatConnections")["Items"]):
        assert time.monotonic() < deadline, rows
        time.sleep(0.1)


def table_names(aws: Emulator) -> set[str]:
    return set(aws.client("dynamodb").list_tables()["TableNames"])


def bucket_names(aws: Emulator) -> set[str]:
    names = {each["Name"] for each in aws.client("s3").list_buckets()["Buckets"]}
    return {name for name in names if name.startswith("chat-files-")}


def test_deployment_prints_its_address_and_its_mode(deployment: Deployment) -> None:
    assert f"Successfully created/updated stack - {STACK} in us-east-1" in deployment.printed
    uri = r"wss://\w+\.execute-api\.us-east-1\.amazonaws\.com/prod"
    assert re.fullmatch(uri, deployment.outputs["WebSocketURI"])
    assert deployment.outputs["WhoMayConnect"].startswith("OPEN")
    shown = transcript("sam build && sam deploy")
    assert len(shown) > 3
    assert set(shown) <= {comparable(line) for line in deployment.printed.splitlines()}


def test_monitoring_has_its_alarms_and_its_dashboard(aws: Emulator, deployment: Deployment) -> None:
    assert deployment.outputs
    cloudwatch = aws.client("cloudwatch")
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix=f"{STACK}-")["MetricAlarms"]
    assert len(alarms) == 8
    (dashboard,) = cloudwatch.list_dashboards()["DashboardEntries"]
    assert dashboard["DashboardName"] == f"{STACK}-us-east-1"


def test_smoke_passes_with_the_address_that_the_workflow_finds(
    sam: Sam, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = sam.do("list", "stack-outputs", "--config-env", "default", "--output", "json")
    outputs = {each["OutputKey"]: each["OutputValue"] for each in json.loads(listed)}
    assert outputs == deployment.outputs
    assert smoke.main([deployment.url, "--retry", "0"]) == 0
    printed = [comparable(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == transcript("make smoke URL=")


def test_text_reaches_the_recipient_and_the_senders_other_device(url: str, pair: Pair) -> None:
    with (
        device(url, userId=pair.first) as phone,
        device(url, userId=pair.first) as tablet,
        device(url, userId=pair.second) as recipient,
    ):
        ack = phone.ask(text_of(pair, "Hello!", "c-1"))
        assert (ack["type"], ack["delivered"]) == ("ack", 1)
        received, echo = recipient.receive(), tablet.receive()
        assert received["text"] == echo["text"] == "Hello!"
        assert echo["clientMessageId"] == "c-1"
        assert "clientMessageId" not in received
        assert phone.ask(text_of(pair, "Hello!", "c-1"))["messageId"] == ack["messageId"]


def test_client_catches_up_with_since_and_with_getmessages(url: str, pair: Pair) -> None:
    with device(url, userId=pair.first) as sender:
        for number in range(3):
            sender.ask(text_of(pair, f"missed {number}", f"c-{number}"))
    expected = ["missed 0", "missed 1", "missed 2"]
    with device(url, userId=pair.second, since="0") as recipient:
        assert catch_up(recipient) == expected
        recipient.send({"action": "getmessages", "since": 0})
        assert catch_up(recipient) == expected


def test_getmessages_reads_a_chat_page_by_page(url: str, pair: Pair) -> None:
    with device(url, userId=pair.first) as sender:
        for number in range(3):
            sender.ask(text_of(pair, f"text {number}", f"c-{number}"))
        ask = {"action": "getmessages", "chatId": pair.chat_id, "limit": 2}
        newest = sender.ask(ask)
        assert (texts(newest), newest["more"]) == (["text 1", "text 2"], True)
        oldest = sender.ask(ask | {"before": newest["before"]})
        assert (texts(oldest), oldest["more"]) == (["text 0"], False)


def test_receipts_and_typing_reach_the_partner(url: str, pair: Pair) -> None:
    with (
        device(url, userId=pair.first) as sender,
        device(url, userId=pair.second) as recipient,
    ):
        timestamp = sender.ask(text_of(pair, "Read this", "c-1"))["timestamp"]
        recipient.receive()
        signal = {"action": "sendmessage", "chatId": pair.chat_id}
        recipient.ask(signal | {"read": timestamp})
        receipt = sender.receive()
        assert (receipt["type"], receipt["read"]) == ("receipt", timestamp)
        recipient.ask(signal | {"typing": True})
        typing = sender.receive()
        assert (typing["type"], typing["userId"]) == ("typing", pair.second)
        page = sender.ask({"action": "getmessages", "chatId": pair.chat_id})
        assert page["receipts"][pair.second]["read"] == timestamp


def test_file_goes_up_and_down_by_its_links(url: str, pair: Pair) -> None:
    photo = bytes(range(256)) * 256
    file = {"fileName": "image.jpg", "contentType": "image/jpeg", "size": len(photo)}
    with (
        device(url, userId=pair.first) as sender,
        device(url, userId=pair.second) as recipient,
    ):
        chat = {"chatId": pair.chat_id}
        upload = sender.ask({"action": "sendfile", **chat, **file})
        link, headers = upload["uploadUrl"], upload["headers"]
        # The signature holds the size.
        assert httpx.put(link, headers=headers, content=photo + b"!").status_code == 403
        assert httpx.put(link, headers=headers, content=photo).status_code == 200
        file_key = {"fileKey": upload["fileKey"]}
        assert sender.ask({"action": "sendmessage", **chat, **file_key})["delivered"] == 1
        received = recipient.receive()
        assert httpx.get(received["fileUrl"]).content == photo
        download = sender.ask({"action": "sendfile", **chat, **file_key})
        assert httpx.get(download["fileUrl"]).content == photo


def test_operator_exports_with_the_documented_permissions(
    aws: Emulator,
    deployment: Deployment,
    pair: Pair,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with device(deployment.url, userId=pair.first) as client:
        first = client.ask(text_of(pair, "Hello!", "c-1"))["timestamp"]
    section = (ROOT / "docs/operating.md").read_text().split("## Exporting a user's data")[1]
    (needed,) = re.findall(r"Your credentials need (.+?)\n\n", section, re.DOTALL)[:1]
    statement = {"Effect": "Allow", "Action": re.findall(r"`(\w+:\w+)`", needed), "Resource": "*"}
    iam = aws.client("iam")
    iam.create_user(UserName="operator")
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="operator", PolicyName="export", PolicyDocument=document)
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(aws.certificate))
    # An export leaves out the last minute.
    monkeypatch.setattr("personal_data.export._SETTLED_MS", 0)
    options = [f"--stack={deployment.stack}", f"--endpoint-url={aws.url}", "--scan"]
    assert main(["export", f"--user={pair.first}", f"--out={tmp_path}/out", *options]) == 0
    (line,) = (tmp_path / "out/messages.jsonl").read_text().splitlines()
    assert (json.loads(line)["text"], json.loads(line)["timestamp"]) == ("Hello!", first)


def test_file_that_nobody_uploaded_cannot_be_sent(url: str, pair: Pair) -> None:
    file = {"fileName": "image.jpg", "contentType": "image/jpeg"}
    with device(url, userId=pair.first) as sender:
        upload = sender.ask({"action": "sendfile", "chatId": pair.chat_id, **file})
        frame = {"action": "sendmessage", "chatId": pair.chat_id, "fileKey": upload["fileKey"]}
        assert sender.ask(frame)["code"] == "not_found"


def test_connection_beyond_the_limit_closes_the_oldest(url: str, pair: Pair) -> None:
    with contextlib.ExitStack() as opened:
        devices = [
            opened.enter_context(device(url, userId=pair.first)) for _ in range(MAX_CONNECTIONS + 1)
        ]
        with pytest.raises(ConnectionClosed):
            devices[0].receive()
        assert devices[-1].say(pair.chat_id, "still here")["type"] == "ack"
        assert devices[1].receive()["text"] == "still here"


def test_refused_handshake_has_the_status_of_the_function(url: str) -> None:
    assert refusal(url) == 401
    assert refusal(f"{url}?userId=user123&since=yesterday") == 400


def test_frame_without_a_route_is_answered_forbidden(url: str, pair: Pair) -> None:
    with device(url, userId=pair.first) as client:
        assert client.ask({"action": "dance"})["message"] == "Forbidden"
        assert client.say(pair.chat_id, "still open")["type"] == "ack"


def test_update_keeps_connections_and_data(sam: Sam, deployment: Deployment, pair: Pair) -> None:
    with (
        device(deployment.url, userId=pair.first) as sender,
        device(deployment.url, userId=pair.second) as recipient,
    ):
        sender.ask(text_of(pair, "before", "c-1"))
        assert recipient.receive()["text"] == "before"
        updated = sam.deploy(STACK, AllowedContentTypes="image/png")
        assert updated.url == deployment.url
        # The new parameter holds, for the old connections.
        file = {"fileName": "image.jpg", "contentType": "image/jpeg"}
        refused = sender.ask({"action": "sendfile", "chatId": pair.chat_id, **file})
        assert refused["code"] == "unsupported_type"
        sender.ask(text_of(pair, "after", "c-2"))
        assert recipient.receive()["text"] == "after"
    with device(deployment.url, userId=pair.second, since="0") as recipient:
        assert catch_up(recipient) == ["before", "after"]


def test_deployment_with_an_issuer_needs_its_tokens(
    sam: Sam, aws: Emulator, template: str, pair: Pair
) -> None:
    with issuer() as issued, cleaned_up(aws):
        closed = sam.change(OTHER, template, **NAMES, JwtIssuer=issued.url, JwtAudience=AUDIENCE)
        assert closed.outputs["WhoMayConnect"].startswith("TOKENS")
        assert refusal(f"{closed.url}?userId={pair.first}") == 401
        with (
            device(closed.url, token=issued.token(pair.first)) as sender,
            device(closed.url, token=issued.token(pair.second)) as recipient,
        ):
            assert sender.ask(text_of(pair, "Hello!", "c-1"))["delivered"] == 1
            assert recipient.receive()["senderId"] == pair.first


def test_server_sends_and_a_queue_receives_what_waits(
    sam: Sam, aws: Emulator, template: str, pair: Pair
) -> None:
    topic = aws.client("sns").create_topic(Name=TOPIC)["TopicArn"]
    subscriber = Subscriber(aws.client, "waiting-messages")

    def send(client_message_id: str) -> dict[str, Any]:
        message = text_of(pair, "Hello!", client_message_id) | {"senderId": pair.first}
        answer = aws.client("lambda").invoke(
            FunctionName="other-3-send-message", Payload=json.dumps({"send": message})
        )
        frame: dict[str, Any] = json.loads(answer["Payload"].read())
        return frame

    with cleaned_up(aws):
        parameters = {"WaitingTopicArn": topic, "Monitoring": "true"}
        deployed = sam.change(OTHER, template, **NAMES, **parameters)
        waiting = send("c-1")
        assert (waiting["type"], waiting["delivered"]) == ("ack", 0)
        with device(deployed.url, userId=pair.second, since="0") as recipient:
            assert catch_up(recipient) == ["Hello!"]
            assert send("c-2")["delivered"] == 1
            assert recipient.receive()["senderId"] == pair.first
        received = subscriber.received(wait_s=5)
        assert [each["messageId"] for each in received] == [waiting["messageId"]]
        cloudwatch = aws.client("cloudwatch")
        assert len(cloudwatch.describe_alarms(AlarmNamePrefix=f"{OTHER}-")["MetricAlarms"]) == 9


def with_the_old_index(template: str) -> str:
    """Put what docs/operating.md shows into the table of connections."""
    operating = (ROOT / "docs" / "operating.md").read_text()
    (shown,) = re.findall(r"^   ```yaml\n(.*?)^   ```$", operating, re.DOTALL | re.MULTILINE)
    resources = yaml.safe_load(template)
    resources["Resources"]["ConnectionsTable"]["Properties"] |= yaml.safe_load(shown)
    return json.dumps(resources)


def close_connections(rows: list[dict[str, Any]], deployment: Deployment) -> None:
    aws = deployment.sam.aws
    api = aws.client("apigatewaymanagementapi", url=deployment.push_url)
    for row in rows:
        if "userId" in row:
            api.delete_connection(ConnectionId=row["connectionId"]["S"])


def test_upgrade_from_the_first_edition_costs_one_reconnect_and_no_message(
    sam: Sam, aws: Emulator, template: str, pair: Pair, tmp_path: Path
) -> None:
    """Do the three steps of docs/operating.md with the first edition's own code and template."""
    dynamodb = aws.client("dynamodb")
    table = {"TableName": "other-ChatConnections"}
    with cleaned_up(aws):
        first = sam.deploy(OTHER, template=first_edition(sam, tmp_path), **NAMES)
        (old_index,) = dynamodb.describe_table(**table)["Table"]["GlobalSecondaryIndexes"]
        with (
            device(first.url, userId=pair.first) as sender,
            device(first.url, userId=pair.second) as recipient,
        ):
            assert sender.ask(text_of(pair, "by the first edition", "c-1"))["delivered"] == 1
            assert recipient.receive()["text"] == "by the first edition"

            second = sam.change(OTHER, with_the_old_index(template), **NAMES)
            assert second.url == first.url
            (index,) = dynamodb.describe_table(**table)["Table"]["GlobalSecondaryIndexes"]
            assert index == old_index
            # The first edition wrote no rows of users, by which this one finds connections.
            assert sender.ask(text_of(pair, "not pushed", "c-2"))["delivered"] == 0
            close_connections(dynamodb.scan(**table)["Items"], first)
            for each in (sender, recipient):
                with pytest.raises(ConnectionClosed):
                    each.receive()
        with (
            device(first.url, userId=pair.first) as sender,
            device(first.url, userId=pair.second, since="0") as recipient,
        ):
            assert catch_up(recipient) == ["by the first edition", "not pushed"]
            sam.change(OTHER, template, **NAMES, MessageRetentionDays="30")
            assert "GlobalSecondaryIndexes" not in dynamodb.describe_table(**table)["Table"]
            resent = sender.ask(text_of(pair, "by the first edition", "c-1"))
            assert resent["duplicate"]
            pushed = receive_live(recipient, "by the first edition")
            assert pushed["messageId"] == resent["messageId"]
            assert sender.ask(text_of(pair, "pushed", "c-3"))["delivered"] == 1
            receive_live(recipient, "pushed")
        rows = dynamodb.scan(TableName="other-ChatMessages")["Items"]
        (new,) = (row for row in rows if row.get("text") == {"S": "pushed"})
        assert int(new["ttl"]["N"]) > time.time() + 29 * 86_400


def test_failed_first_deployment_leaves_nothing_and_can_be_repeated(
    sam: Sam, aws: Emulator, template: str
) -> None:
    with cleaned_up(aws):
        before = table_names(aws), bucket_names(aws)
        failing = template.replace("\nResources:\n", "\nResources:\n" + THAT_FAILS)
        with pytest.raises(WaiterError, match="ROLLBACK_COMPLETE"):
            sam.change(OTHER, failing, **NAMES)
        pages = aws.client("cloudformation").get_paginator("describe_stack_events")
        created = {
            each["LogicalResourceId"]
            for each in pages.paginate(StackName=OTHER).search("StackEvents")
            if each["ResourceStatus"] == "CREATE_COMPLETE"
        }
        assert created >= {"MessagesTable", "FilesBucket"}
        assert (table_names(aws), bucket_names(aws)) == before
        aws.delete_stack(OTHER)
        sam.change(OTHER, template, **NAMES)
        assert "other-ChatMessages" in table_names(aws)


def test_emulator_denies_what_a_policy_does_not_allow(sam: Sam, aws: Emulator) -> None:
    """Otherwise that no call was denied would mean nothing."""
    deployer = aws.client("dynamodb", sam.keys)
    with pytest.raises(ClientError, match="AccessDenied"):
        deployer.list_tables()
    (denied,) = aws.denied()
    assert (denied["accessKey"], denied["action"]) == (sam.keys[0], "dynamodb:ListTables")


def test_delete_keeps_the_messages_and_the_files_and_nothing_else(
    sam: Sam, aws: Emulator, template: str, pair: Pair
) -> None:
    """Is the last test, because `sam delete` deletes the uploaded code, which the others use."""
    with cleaned_up(aws):
        before = table_names(aws)
        deployed = sam.change(OTHER, template, **NAMES)
        bucket = deployed.outputs["FilesBucketName"]
        assert table_names(aws) - before == {"other-ChatConnections", "other-ChatMessages"}
        with device(deployed.url, userId=pair.first) as sender:
            sender.ask(text_of(pair, "keep me", "c-1"))
            file = {"fileName": "notes.txt", "contentType": "text/plain"}
            upload = sender.ask({"action": "sendfile", "chatId": pair.chat_id, **file})
            httpx.put(upload["uploadUrl"], headers=upload["headers"], content=b"keep me too")
        wait_for_disconnects(aws)
        sam.delete(OTHER)
        assert table_names(aws) - before == {"other-ChatMessages"}
        items = aws.client("dynamodb").scan(TableName="other-ChatMessages")["Items"]
        assert "keep me" in str(items)
        (kept,) = aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        assert kept["Key"] == upload["fileKey"]
        functions = aws.client("lambda").list_functions()["Functions"]
        assert not [each for each in functions if each["FunctionName"].startswith("other-")]
        groups = aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/other-")
        assert not groups["logGroups"]
