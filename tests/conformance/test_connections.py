"""`@connections`, as a function calls it with botocore.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
and botocore's model of apigatewaymanagementapi.
"""

import json
from datetime import datetime

from tests.conformance.client import ask, close_code, connection_id, opening, receive, receive_text

NEVER_SEEN = "AAAAAAAAAAAAAAA="


async def test_post_reaches_the_client(url: str) -> None:
    async with opening(url) as caller, opening(url) as client:
        target = await connection_id(client)
        called = await ask(caller, call="post", id=target, data="hello")
        assert called == {"status": 200, "result": {}}
        assert await receive_text(client) == "hello"


async def test_posts_arrive_in_the_order_of_their_calls(url: str) -> None:
    async with opening(url) as caller, opening(url) as client:
        target = await connection_id(client)
        for number in range(5):
            await ask(caller, call="post", id=target, data=str(number))
        assert [await receive(client) for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_function_can_post_to_the_client_that_invoked_it(url: str) -> None:
    async with opening(url) as client:
        target = await connection_id(client)
        await client.send(
            json.dumps({"action": "silent", "call": "post", "id": target, "data": "1"})
        )
        assert await receive(client) == 1


async def test_get_returns_times_and_identity_of_a_connection(url: str) -> None:
    async with opening(url) as client:
        target = await connection_id(client)
        called = await ask(client, call="get", id=target)
    assert called["status"] == 200
    result = called["result"]
    assert set(result) == {"ConnectedAt", "Identity", "LastActiveAt"}
    assert set(result["Identity"]) == {"SourceIp", "UserAgent"}
    connected, active = (
        datetime.fromisoformat(result[f"{what}At"]) for what in ("Connected", "LastActive")
    )
    assert connected <= active


async def test_delete_closes_the_connection(url: str) -> None:
    async with opening(url) as caller, opening(url) as client:
        called = await ask(caller, call="delete", id=await connection_id(client))
        assert called == {"status": 204, "result": {}}
        assert await close_code(client) is not None


async def test_disconnect_event_after_delete_has_code_1000(url: str) -> None:
    # boto3#3789.
    async with opening(url) as caller:
        me = await connection_id(caller)
        async with opening(url, watcher=me) as client:
            target = await connection_id(client)
            await caller.send(json.dumps({"action": "silent", "call": "delete", "id": target}))
            context = (await receive(caller))["requestContext"]
    assert context["eventType"] == "DISCONNECT"
    assert context["connectionId"] == target
    assert context["disconnectStatusCode"] == 1000
    assert context["disconnectReason"] == "Connection Closed Normally"


async def test_post_get_and_delete_after_the_end_of_a_connection_are_410(url: str) -> None:
    async with opening(url) as caller:
        async with opening(url, watcher=await connection_id(caller)) as client:
            target = await connection_id(client)
        await receive(caller)  # $disconnect has run
        for call in ("post", "get", "delete"):
            called = await ask(caller, call=call, id=target)
            assert called == {"error": "GoneException", "status": 410, "exception": "GoneException"}


async def test_post_to_an_unknown_connection_is_410(url: str) -> None:
    async with opening(url) as caller:
        called = await ask(caller, call="post", id=NEVER_SEEN)
        assert (called["status"], called["exception"]) == (410, "GoneException")


async def test_post_to_a_malformed_connection_id_is_a_bad_request(url: str) -> None:
    # localstack#4694.
    async with opening(url) as caller:
        called = await ask(caller, call="post", id="nobody")
        assert (called["status"], called["error"]) == (400, "BadRequestException")


async def test_post_of_more_than_128_kib_is_413(url: str) -> None:
    async with opening(url) as caller, opening(url) as client:
        target = await connection_id(client)
        assert (await ask(caller, call="post", id=target, bytes=128 * 1024))["status"] == 200
        assert len(await receive_text(client)) == 128 * 1024
        called = await ask(caller, call="post", id=target, bytes=128 * 1024 + 1)
        assert called["exception"] == "PayloadTooLargeException"
        assert called["status"] == 413
