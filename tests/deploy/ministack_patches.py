"""Start MiniStack with what it lacks. Runs in `.venv-deploy`, apart from this project.

    python ministack_patches.py PORT CALLS [--without-patches]

CALLS is a file that receives a line for each call to AWS whose caller was checked, as JSON.
`test_patches.py` starts it without the patches and fails when MiniStack no longer needs one.
"""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app
from ministack.core import iam_evaluator, tls
from ministack.services import apigateway, iam
from ministack.services.cloudformation import provisioners

type Message = dict[str, Any]
type Send = Callable[[Message], Awaitable[None]]


def create_route_responses() -> None:
    """Let CloudFormation create, update and delete `AWS::ApiGatewayV2::RouteResponse`.

    Reason: MiniStack refuses a template with this type as a format error, though its API Gateway
    has the calls. The Ref of a route is `<api>/<route>` there; on AWS it is the route's id alone.
    """

    def create(_logical_id: str, properties: Message, _stack: str) -> tuple[str, Message]:
        route_id = properties["RouteId"].rpartition("/")[2]
        status, _, body = apigateway._create_route_response(
            properties["ApiId"], route_id, {"routeResponseKey": properties["RouteResponseKey"]}
        )
        if status != 201:
            raise ValueError(f"AWS::ApiGatewayV2::RouteResponse create failed: {body!r}")
        response_id = json.loads(body)["routeResponseId"]
        return response_id, {"RouteResponseId": response_id}

    def delete(physical_id: str, properties: Message) -> None:
        route_id = properties["RouteId"].rpartition("/")[2]
        apigateway._delete_route_response(properties["ApiId"], route_id, physical_id)

    provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::RouteResponse"] = {
        "create": create,
        "delete": delete,
    }


def reply_only_with_route_responses() -> None:
    """Drop what a function returns for a frame whose route has no route response.

    Reason: MiniStack sends it in any case, so a template without route responses would pass.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html
    """
    invoke = apigateway._invoke_ws_lambda

    async def invoke_and_drop(api_id: str, *arguments: Any, **named: Any) -> Message | None:
        _, _, route, _, _, event_type = arguments[:6]
        result: Message | None = await invoke(api_id, *arguments, **named)
        responses = apigateway._route_responses.get(api_id, {}).get(route.get("routeId"), {})
        return result if event_type != "MESSAGE" or responses else None

    apigateway._invoke_ws_lambda = invoke_and_drop


def refuse_handshakes_with_the_status_of_the_function() -> None:
    """Answer a refused handshake with the status that the function of `$connect` returned.

    Reason: MiniStack answers 403 in any case, so that 401 and 503 cannot be told apart.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-connect-route-subprotocol.html
    """
    invoke, handle = apigateway._invoke_ws_lambda, apigateway.handle_websocket
    refusal: ContextVar[int | None] = ContextVar("refusal", default=None)

    async def invoke_and_remember(api_id: str, *arguments: Any, **named: Any) -> Message | None:
        result: Message | None = await invoke(api_id, *arguments, **named)
        if arguments[5] == "CONNECT" and result and not 200 <= int(result["statusCode"]) < 300:
            refusal.set(int(result["statusCode"]))
        return result

    async def handle_with_status(
        scope: Message, receive: Any, send: Send, *arguments: Any, **named: Any
    ) -> None:
        async def send_status(message: Message) -> None:
            if message["type"] == "websocket.close" and (status := refusal.get()):
                await apigateway._refuse_ws_handshake(scope, send, status, "Refused", "", "")
            else:
                await send(message)

        await handle(scope, receive, send_status, *arguments, **named)

    apigateway._invoke_ws_lambda = invoke_and_remember
    apigateway.handle_websocket = handle_with_status


def answer_frames_without_a_route() -> None:
    """Answer a frame that no route takes with `Forbidden`.

    Reason: MiniStack drops it without a word.
    Source: https://github.com/aws-samples/simple-websockets-chat-app/issues/24
    """
    match, invoke = apigateway._match_ws_route, apigateway._invoke_ws_lambda
    nowhere = {"routeKey": "(no route)"}

    def match_or_nowhere(api_id: str, route_key: str) -> Message | None:
        route: Message | None = match(api_id, route_key)
        return nowhere if route is None and not route_key.startswith("$c") else route

    async def invoke_or_forbid(api_id: str, *arguments: Any, **named: Any) -> Message | None:
        _, _, route, _, connection_id, _, request_id = arguments[:7]
        if route is nowhere:
            forbidden = {"message": "Forbidden", "connectionId": connection_id}
            return {"statusCode": 403, "body": json.dumps(forbidden | {"requestId": request_id})}
        result: Message | None = await invoke(api_id, *arguments, **named)
        return result

    apigateway._match_ws_route = match_or_nowhere
    apigateway._invoke_ws_lambda = invoke_or_forbid


def create_alarms_with_metric_math() -> None:
    """Let CloudFormation create alarms that watch an expression. They never fire.

    Reason: MiniStack refuses them, so that a stack with `Monitoring=true` is rolled back.
    """
    record = provisioners._cw_metric_alarm_record

    def record_without_metrics(name: str, properties: Message) -> Message:
        if "Metrics" in properties:
            nothing = {"Namespace": "none", "MetricName": "none", "Metrics": None}
            properties = properties | nothing
        alarm: Message = record(name, properties)
        return alarm

    provisioners._cw_metric_alarm_record = record_without_metrics


PATCHES = (
    create_alarms_with_metric_math,
    create_route_responses,
    reply_only_with_route_responses,
    refuse_handshakes_with_the_status_of_the_function,
    answer_frames_without_a_route,  # last, because its frames have no route response
)


def record_calls(path: Path) -> None:
    """Write each call whose caller was checked to a file. This changes no answer.

    One whose role is gone does not count as denied: a function may still run when its stack is
    deleted. A catch-up looks a second time after two seconds, and a `$disconnect` comes late.
    """
    enforce = iam_evaluator.enforce

    def enforce_and_record(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Message | None = None,
    ) -> Any:
        denied = enforce(access_key, action, service, region, resource_arn, service_context)
        call = {"accessKey": access_key, "action": action, "resource": resource_arn}
        counts = denied and _has_role(str(denied))
        with path.open("a") as calls:
            calls.write(json.dumps(call | {"denied": str(denied) if counts else None}) + "\n")
        return denied

    iam_evaluator.enforce = enforce_and_record


def _has_role(denied: str) -> bool:
    """Return whether the role that a denied call was made with exists; also if it was a user's."""
    role = re.search(r":assumed-role/([^/']+)/", denied)
    return role is None or role[1] in iam._roles


def main(port: str, calls: str, *options: str) -> None:
    """Serve until SIGTERM."""
    record_calls(Path(calls))
    if options != ("--without-patches",):
        for patch in PATCHES:
            patch()
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    # As MiniStack's own command sets it. Hypercorn would close functions' idle connections after 5.
    config.keep_alive_timeout = 75
    if tls.use_ssl_enabled():
        config.certfile, config.keyfile = tls.resolve_tls_material()
    asyncio.run(serve(app.app, config))


if __name__ == "__main__":
    main(*sys.argv[1:])
