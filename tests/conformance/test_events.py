"""The events that functions get, field by field.

Captured on AWS in November 2024:
https://github.com/aws-powertools/powertools-lambda-python/tree/develop/tests/events
(apiGatewayWebSocketApi{Connect,Message,Disconnect}.json)
"""

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Any

from tests.conformance.client import ask, connection_id, local_only, opening, receive

IN_EVERY_CONTEXT = {
    "routeKey", "eventType", "extendedRequestId", "requestTime", "messageDirection", "stage",
    "connectedAt", "requestTimeEpoch", "identity", "requestId", "domainName", "connectionId",
    "apiId",
}  # fmt: skip
ID = re.compile(r"[A-Za-z0-9_-]{15}=")


def assert_is_a_context(context: dict[str, Any], *more: str) -> None:
    assert set(context) == IN_EVERY_CONTEXT | set(more)
    assert context["messageDirection"] == "IN"
    assert ID.fullmatch(context["connectionId"])
    assert ID.fullmatch(context["requestId"])
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
    assert context["extendedRequestId"] == context["requestId"]
    assert re.fullmatch(r"[a-z0-9]{10}\.execute-api\..+", context["domainName"])
    assert context["domainName"].startswith(context["apiId"])
    written = datetime.strptime(context["requestTime"], "%d/%b/%Y:%H:%M:%S %z")
    assert written == datetime.fromtimestamp(context["requestTimeEpoch"] // 1000, UTC)
    assert context["connectedAt"] <= context["requestTimeEpoch"]


async def test_connect_event_has_headers_and_no_body(url: str) -> None:
    async with opening(url) as client:
        event = await ask(client, recall=True)
    assert set(event) == {"headers", "multiValueHeaders", "requestContext", "isBase64Encoded"}
    assert_is_a_context(event["requestContext"])
    assert event["requestContext"]["eventType"] == "CONNECT"
    assert event["isBase64Encoded"] is False


async def test_connect_event_keeps_the_case_of_header_names_and_has_no_hop_by_hop_headers(
    url: str,
) -> None:
    async with opening(url) as client:
        headers = (await ask(client, recall=True))["headers"]
    assert {
        "Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "X-Amzn-Trace-Id", "X-Forwarded-For",
        "X-Forwarded-Port", "X-Forwarded-Proto",
    } <= set(headers)  # fmt: skip
    assert not {"connection", "upgrade", "content-length"} & {name.lower() for name in headers}


async def test_connect_event_has_all_values_of_a_repeated_header_or_parameter(
    url: str,
) -> None:
    async with opening(url, tag=["one", "two"]) as client:
        event = await ask(client, recall=True)
    assert event["queryStringParameters"] == {"tag": "two"}
    assert event["multiValueQueryStringParameters"] == {"tag": ["one", "two"]}
    assert event["multiValueHeaders"] == {key: [value] for key, value in event["headers"].items()}


async def test_connect_event_has_the_query_string_decoded(url: str) -> None:
    async with opening(url, name="Zoë & co", empty="") as client:
        event = await ask(client, recall=True)
    assert event["queryStringParameters"] == {"name": "Zoë & co", "empty": ""}


async def test_message_event_has_a_body_but_no_headers_and_no_query_string(url: str) -> None:
    async with opening(url, tag="one") as client:
        event = await ask(client, text="Grüße")
    assert set(event) == {"requestContext", "body", "isBase64Encoded"}
    assert_is_a_context(event["requestContext"], "messageId")
    assert event["requestContext"]["eventType"] == "MESSAGE"
    assert event["requestContext"]["routeKey"] == "answer"
    assert json.loads(event["body"]) == {"action": "answer", "text": "Grüße"}


async def test_events_of_a_connection_share_its_id_and_have_different_request_ids(url: str) -> None:
    async with opening(url) as client:
        opened = (await ask(client, recall=True))["requestContext"]
        first = (await ask(client))["requestContext"]
        second = (await ask(client))["requestContext"]
    assert opened["connectionId"] == first["connectionId"] == second["connectionId"]
    assert opened["connectedAt"] == first["connectedAt"] == second["connectedAt"]
    assert len({each["requestId"] for each in (opened, first, second)}) == 3
    assert first["messageId"] != second["messageId"]


async def test_event_identity_has_the_user_agent_of_the_client(url: str) -> None:
    # drmatt13/sam-websocket-dev-kit.
    async with opening(url) as client:
        identity = (await ask(client))["requestContext"]["identity"]
    assert set(identity) == {"sourceIp", "userAgent"}
    assert "websockets" in identity["userAgent"]


async def test_disconnect_event_has_the_close_code_and_reason_of_the_client(url: str) -> None:
    async with opening(url) as watcher:
        client = await opening(url, watcher=await connection_id(watcher))
        await client.close(4001, "enough")
        event = await receive(watcher)
    assert set(event) == {"headers", "multiValueHeaders", "requestContext", "isBase64Encoded"}
    context = event["requestContext"]
    assert_is_a_context(context, "disconnectStatusCode", "disconnectReason")
    assert (context["routeKey"], context["eventType"]) == ("$disconnect", "DISCONNECT")
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (4001, "enough")


async def test_disconnect_event_has_four_headers(url: str) -> None:
    async with opening(url) as watcher:
        async with opening(url, watcher=await connection_id(watcher)):
            pass
        event = await receive(watcher)
    assert set(event["headers"]) == {"Host", "x-api-key", "X-Forwarded-For", "x-restapi"}
    assert [event["headers"][name] for name in ("x-api-key", "X-Forwarded-For", "x-restapi")] == [
        "",
        "",
        "",
    ]
    assert event["multiValueHeaders"] == {key: [value] for key, value in event["headers"].items()}


async def test_disconnect_event_of_a_close_frame_without_code_has_1005(url: str) -> None:
    async with opening(url) as watcher:
        client = await opening(url, watcher=await connection_id(watcher))
        client.protocol.send_close()
        for data in client.protocol.data_to_send():
            client.transport.write(data)
        await client.wait_closed()
        context = (await receive(watcher))["requestContext"]
    assert context["disconnectStatusCode"] == 1005
    assert context["disconnectReason"] == "Client-side close frame status not set"


@local_only  # what AWS reports then is not documented
async def test_disconnect_event_of_a_broken_connection_has_1006(url: str) -> None:
    async with opening(url) as watcher:
        client = await opening(url, watcher=await connection_id(watcher))
        client.transport.abort()
        context = (await receive(watcher))["requestContext"]
    assert (context["eventType"], context["disconnectStatusCode"]) == ("DISCONNECT", 1006)


@local_only  # whether AWS then invokes $disconnect is not documented
async def test_client_that_leaves_during_the_handshake_gets_a_disconnect_event(url: str) -> None:
    async with opening(url) as watcher:
        handshake = asyncio.ensure_future(_open(url, await connection_id(watcher)))
        await asyncio.sleep(0.2)
        handshake.cancel()
        context = (await receive(watcher))["requestContext"]
    assert context["eventType"] == "DISCONNECT"


async def _open(url: str, watcher: str) -> None:
    await opening(url, watcher=watcher, sleep=1)
