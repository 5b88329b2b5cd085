"""The HTTP APIs that functions call: `@connections` of API Gateway, and Invoke of Lambda."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.gateway.gateway import Gateway
from local.gateway.management import (
    NOT_SIGNED,
    STAGE_FORBIDDEN,
    ManagementApi,
    ManagementResponse,
)
from local.lambdas.invocations import InvokeApi
from local.server.hosts import LOOPBACK


class FunctionsApi:
    """Turns requests of functions into calls of the gateway and of Lambda.

    Args:
        gateway: Has the connections.
        invoke_api: The API by which functions invoke each other.

    """

    def __init__(self, gateway: Gateway, invoke_api: InvokeApi) -> None:
        self._gateway = gateway
        self._management_api = ManagementApi(gateway.connections)
        self._invoke_api = invoke_api

    async def connections(self, request: Request) -> Response:
        """Answer a call of `@connections`."""
        if request.path_params["stage"] != self._gateway.api.stage:
            return to_response(STAGE_FORBIDDEN)
        if not _is_from_a_function(request):
            return to_response(NOT_SIGNED)
        connection_id = request.path_params["connection_id"]
        match request.method:
            case "POST":
                answer = self._management_api.post_to_connection(
                    connection_id, await request.body()
                )
            case "DELETE":
                answer = self._management_api.delete_connection(connection_id)
            case _:
                answer = self._management_api.get_connection(connection_id)
        return to_response(answer)

    async def invoke(self, request: Request) -> Response:
        """Answer a call of Invoke."""
        if not _is_from_a_function(request):
            return to_response(NOT_SIGNED)
        response = await self._invoke_api.invoke(
            request.path_params["function"],
            await request.body(),
            request.headers.get("x-amz-invocation-type", "RequestResponse"),
            request.headers.get("x-amz-client-context"),
        )
        return Response(response.body, response.status, response.headers)


def to_response(answer: ManagementResponse) -> Response:
    """Return the HTTP response to a call of `@connections`."""
    headers = {"x-amzn-ErrorType": answer.error} if answer.error else {}
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    return JSONResponse(answer.body, answer.status, headers)


def _is_from_a_function(request: Request) -> bool:
    """Return whether a request is signed, and comes from this machine.

    The signature is not verified. A page cannot send this header unless the server allows it:
    https://fetch.spec.whatwg.org/#http-cors-protocol.
    """
    client = request.client
    return "authorization" in request.headers and client is not None and client.host in LOOPBACK
