"""MiniStack without its patches. If it no longer needs one, delete the patch and its test here."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, WaiterError
from websockets.exceptions import InvalidStatus

from tests.deploy.emulator import COLD_START_TIMEOUT_S, Emulator, emulator
from tests.support.blocking_client import BlockingClient, connect

ECHO = '{"action":"echo"}'
PROBE = Path(__file__).with_name("probe.yaml").read_text()
ROUTE_RESPONSE = """\
  RouteResponse:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: { ApiId: !Ref Api, RouteId: !Ref Echo, RouteResponseKey: $default }
"""
ALARM = """\
Resources:
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      ComparisonOperator: GreaterThanOrEqualToThreshold
      Threshold: 1
      EvaluationPeriods: 1
      Metrics: [{ Id: errors, Expression: SUM(METRICS()) }]
"""


@pytest.fixture(scope="module")
def unpatched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("unpatched")
    with (
        emulator(folder, "--without-patches") as running,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("SSL_CERT_FILE", str(running.certificate))
        yield running


@pytest.fixture(scope="module")
def url(unpatched: Emulator) -> str:
    cloudformation = unpatched.client("cloudformation")
    cloudformation.create_stack(
        StackName="probe", TemplateBody=PROBE, Capabilities=["CAPABILITY_IAM"]
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="probe", WaiterConfig={"Delay": 1}
    )
    (stack,) = cloudformation.describe_stacks(StackName="probe")["Stacks"]
    (api,) = (each["OutputValue"] for each in stack["Outputs"])
    return f"{unpatched.push_endpoint}/{api}/prod".replace("https://", "wss://")


@pytest.fixture
def client(url: str) -> Iterator[BlockingClient]:
    with connect(url, timeout_s=COLD_START_TIMEOUT_S) as socket:
        yield socket


def test_create_route_responses_is_needed(unpatched: Emulator) -> None:
    template = PROBE.replace("\nOutputs:", f"\n{ROUTE_RESPONSE}Outputs:")
    with pytest.raises(ClientError, match=r"Unrecognized resource types:.*RouteResponse"):
        unpatched.client("cloudformation").create_stack(
            StackName="refused", TemplateBody=template, Capabilities=["CAPABILITY_IAM"]
        )


def test_create_alarms_with_metric_math_is_needed(unpatched: Emulator) -> None:
    cloudformation = unpatched.client("cloudformation")
    cloudformation.create_stack(StackName="alarm", TemplateBody=ALARM)
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="alarm", WaiterConfig={"Delay": 1}
        )
    events = cloudformation.describe_stack_events(StackName="alarm")["StackEvents"]
    assert any("metric math" in each.get("ResourceStatusReason", "") for each in events)


def test_reply_only_with_route_responses_is_needed(client: BlockingClient) -> None:
    client.send(ECHO)
    assert client.recv(COLD_START_TIMEOUT_S) == ECHO


def test_refuse_handshakes_with_the_status_of_the_function_is_needed(url: str) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"{url}?status=401", timeout_s=COLD_START_TIMEOUT_S),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_answer_frames_without_a_route_is_needed(client: BlockingClient) -> None:
    client.send('{"action":"dance"}')
    client.send(ECHO)  # answered in order, so the first is not answered
    assert client.recv(COLD_START_TIMEOUT_S) == ECHO


def test_each_patch_has_a_test() -> None:
    source = Path(__file__).with_name("ministack_patches.py").read_text()
    _, _, patches = source.partition("\nPATCHES = (\n")
    names = re.findall(r"^    (\w+),", patches.partition("\n)")[0], re.MULTILINE)
    assert len(names) > 2
    assert {f"test_{name}_is_needed" for name in names} <= globals().keys()
