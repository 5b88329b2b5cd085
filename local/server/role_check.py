"""Check calls of `@connections` and of Lambda's Invoke against the roles of functions."""

import re

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from local.gateway.gateway import Gateway
from local.iam.access import AccessControl
from local.iam.calls import connection_call, invocation
from local.iam.policies import Permission
from local.iam.refusals import refused
from local.iam.signers import signer_of

_CONNECTION = re.compile(r"/[^/]+/@connections/[^/]+")
_INVOCATION = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


class RoleCheck:
    """An ASGI application that passes on what roles allow.

    Args:
        application: Serves the calls.
        gateway: Knows the API.
        access: Decides.

    """

    def __init__(self, application: ASGIApp, gateway: Gateway, access: AccessControl) -> None:
        self._application = application
        self._gateway = gateway
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call that is refused, and hand on every other request."""
        application = self._application
        if scope["type"] == "http":
            application = self._refusal(scope) or application
        await application(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        permission = self._permission(scope["method"], scope["path"])
        signer = signer_of(Headers(scope=scope), {})
        if permission is None or signer is None:
            return None
        refusal = self._access.refusal(signer.access_key, [permission])
        if refusal is None:
            return None
        response = refused(permission.action.partition(":")[0], refusal)
        return Response(response.body, response.status, response.headers)

    def _permission(self, method: str, path: str) -> Permission | None:
        api = self._gateway.api
        if _CONNECTION.fullmatch(path):
            return connection_call(api, method)
        function = _INVOCATION.fullmatch(path)
        return invocation(api.region, function[1]) if function else None
