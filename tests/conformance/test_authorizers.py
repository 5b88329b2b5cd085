"""Lambda authorizers.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
"""

import json

import pytest

from tests.conformance.client import ask, opening, refused_status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 401),  # an identity source is missing (above)
        ({"token": ""}, 401),
        ({"token": "unauthorized"}, 401),  # the tests of serverless-offline, and the next
        ({"token": "deny"}, 403),
        ({"token": "broken"}, 500),  # serverless/examples#557
    ],
    ids=str,
)
async def test_authorizer_refusal_has_the_documented_status(
    guarded_url: str, query: dict[str, str], status: int
) -> None:
    assert await refused_status(guarded_url, **query) == status


async def test_authorizer_context_is_in_every_later_event(guarded_url: str) -> None:
    # serverless-offline#1379, boto3#3789.
    async with opening(guarded_url, token="allow") as client:
        connect = await ask(client, recall=True)
        message = await ask(client)
    authorizer = message["requestContext"]["authorizer"]
    assert authorizer == connect["requestContext"]["authorizer"]
    assert authorizer["principalId"] == "somebody"


async def test_authorizer_event_has_empty_fields_for_missing_parts(guarded_url: str) -> None:
    # Powertools' apiGatewayAuthorizerWebSocketEvent.json.
    async with opening(guarded_url, token="allow") as client:
        message = await ask(client)
    event = json.loads(message["requestContext"]["authorizer"]["event"])
    assert set(event) == {
        "type", "methodArn", "headers", "multiValueHeaders", "queryStringParameters",
        "multiValueQueryStringParameters", "stageVariables", "requestContext",
    }  # fmt: skip
    assert event["type"] == "REQUEST"
    assert event["methodArn"].endswith("/guarded/$connect")
    assert event["queryStringParameters"] == {"token": "allow"}
    assert event["stageVariables"] == {}
    assert {"connection", "upgrade", "content-length"} <= {
        name.lower() for name in event["headers"]
    }
