"""Templates of other projects run, and the Invoke API works."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from websockets.sync.client import ClientConnection, connect

from tests.support.runner import LocalRunner, local_runner

TEMPLATES = Path(__file__).with_name("templates")


@pytest.fixture(scope="module")
def rooms() -> Iterator[LocalRunner]:
    with local_runner("--region", "eu-west-1", template=TEMPLATES / "rooms.yaml") as run:
        yield run


@pytest.fixture(scope="module")
def auction() -> Iterator[LocalRunner]:
    with local_runner(
        "--parameter-overrides",
        "Currency=EUR",
        "--retry-delays",
        "0.1,0.1",
        template=TEMPLATES / "auction.yaml",
    ) as run:
        yield run


@pytest.fixture
def lambda_(auction: LocalRunner) -> Iterator[Any]:
    client = client_of("lambda", auction.origin)
    yield client
    client.close()


def client_of(service: Any, url: str) -> Any:
    return boto3.client(
        service,
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def ask(client: ClientConnection, **body: Any) -> Any:
    client.send(json.dumps(body))
    return json.loads(client.recv(timeout=20))


def test_plain_cloudformation_template_runs(rooms: LocalRunner) -> None:
    assert rooms.url.endswith("/live")
    with connect(rooms.url) as client:
        answer = ask(client, meta={"kind": "join-room"})
    assert answer["tables"] == ["members-rooms"]
    assert answer["env"]["GREETING"] == "salut"
    assert answer["env"]["ZONE"] == "eu-west-1a"
    assert answer["variables"] == {"Room": "lobby"}
    assert answer["route"] == "join-room"


def test_throttled_route_answers_too_many_requests(rooms: LocalRunner) -> None:
    with connect(rooms.url) as client:
        client.send(json.dumps({"meta": {"kind": "rare"}}))
        assert ask(client, meta={"kind": "rare"})["message"] == "Too Many Requests"


def test_route_that_is_not_imitated_fails_and_is_named_at_the_start(rooms: LocalRunner) -> None:
    with connect(rooms.url) as client:
        assert ask(client, meta={"kind": "http"})["message"] == "Internal server error"
    line = "Not imitated: route http: integration HTTP (https://example.com) does not run here"
    assert line in rooms.lines


def test_missing_permission_is_a_warning_at_the_start(auction: LocalRunner) -> None:
    assert any(
        line.startswith("Warning: route bid: API Gateway may not invoke local-BidFunction")
        for line in auction.lines
    )


def test_api_without_sam_events_runs_with_authorizer_layer_and_alias(
    auction: LocalRunner,
) -> None:
    with connect(auction.url, additional_headers={"X-Bidder": "ann"}) as client:
        first = ask(client, do="bid", key="a", amount=5)
        second = ask(client, do="bid", key="b", amount=7)
    assert first["bidder"] == {
        "principalId": "ann", "bidder": "ann", "vip": "true", "limit": "100",
    }  # fmt: skip
    assert (first["price"], second["price"]) == ("5 EUR", "7 EUR")
    assert second["bids"] == first["bids"] + 1
    assert auction.wait_for("a bid of 7 EUR") == "[local-BidFunction] a bid of 7 EUR"


# --- Invoke ---------------------------------------------------------------------------------------


def attempts(auction: LocalRunner, key: str) -> list[str]:
    s3 = client_of("s3", auction.aws_endpoint)
    try:
        seen = s3.get_object(Bucket="local-records", Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return []
    finally:
        s3.close()
    return list(json.loads(seen))


@pytest.mark.parametrize(
    "name",
    [
        "local-LedgerFunction",
        "local-LedgerFunction:live",
        "arn:aws:lambda:us-east-1:123456789012:function:local-LedgerFunction",
    ],
)
def test_invoke_finds_a_function_by_name_or_arn(
    auction: LocalRunner, lambda_: Any, name: str
) -> None:
    payload = json.dumps({"key": f"sync-{len(name)}", "fail": 0})
    answer = lambda_.invoke(FunctionName=name, Payload=payload)
    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert json.load(answer["Payload"]) == 1
    assert len(attempts(auction, f"sync-{len(name)}")) == 1


def test_synchronous_invoke_returns_the_error_without_a_retry(
    auction: LocalRunner, lambda_: Any
) -> None:
    payload = json.dumps({"key": "failing", "fail": 9})
    answer = lambda_.invoke(FunctionName="local-LedgerFunction", Payload=payload)
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.load(answer["Payload"])["errorMessage"] == "not yet: failing"
    assert len(attempts(auction, "failing")) == 1


def test_asynchronous_invoke_is_retried_as_often_as_the_template_says(
    auction: LocalRunner, lambda_: Any
) -> None:
    payload = json.dumps({"key": "event", "fail": 9})
    answer = lambda_.invoke(
        FunctionName="local-LedgerFunction", InvocationType="Event", Payload=payload
    )
    assert answer["StatusCode"] == 202
    for then in ("retries in 0.1 s", "drops the event"):
        auction.wait_for(
            "Warning: local-LedgerFunction failed in an asynchronous invocation:"
            f" RuntimeError: not yet: event: Lambda {then}"
        )
    first, second = attempts(auction, "event")
    assert first == second  # the request's id stays


def test_dry_run_invokes_nothing(auction: LocalRunner, lambda_: Any) -> None:
    answer = lambda_.invoke(
        FunctionName="local-LedgerFunction", InvocationType="DryRun", Payload='{"key": "dry"}'
    )
    assert answer["StatusCode"] == 204
    assert attempts(auction, "dry") == []


def test_invoke_of_an_unknown_function_is_not_found(lambda_: Any) -> None:
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException, match="nobody"):
        lambda_.invoke(FunctionName="nobody")


def test_invoke_with_a_payload_that_is_not_json_is_refused(lambda_: Any) -> None:
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        lambda_.invoke(FunctionName="local-LedgerFunction", Payload="{")
