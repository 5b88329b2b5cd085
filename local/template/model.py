"""The records that a template resolves to: functions, a WebSocket API, tables and buckets.

Other packages import nothing of `local.template` but this module.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The account number in AWS's own examples; moto's default account too.
ACCOUNT_ID = "123456789012"

# The parts of a route selection expression that can be evaluated here: $request.body.action,
# ${request.body.action}.
BODY_PATH = re.compile(r"\$\{request\.body\.([^}]+)\}|\$request\.body\.([\w.\[\]-]+)")


# How long API Gateway waits for a function, if the integration itself sets no limit:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
INTEGRATION_TIMEOUT_S = 29.0


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function.

    `code` is the folder that holds its handler; `layers` are the folders that Python finds its
    layers' packages in. `timeout` is in seconds, `memory` in MiB. `retries` is how often an
    asynchronous invocation is tried again.
    """

    name: str
    arn: str
    handler: str
    code: Path
    layers: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    timeout: float = 3
    memory: int = 128
    log_group: str = ""
    log_format: str = "Text"
    log_level: str = "INFO"
    retries: int = 2


@dataclass(frozen=True, slots=True)
class Authorizer:
    """A Lambda authorizer: what decides about a handshake, before `$connect` does."""

    function: str
    identity_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Throttle:
    """How many requests a second may come, and how many at once."""

    rate: float
    burst: int


@dataclass(frozen=True, slots=True)
class Route:
    """A route: its key, and the function behind it (`None`: it has none that runs here).

    `replies` tells whether the function's body goes back to the client: whether there is a route
    response. `timeout` is the integration's, in seconds.
    """

    key: str
    function: str | None
    replies: bool = False
    timeout: float = INTEGRATION_TIMEOUT_S
    authorizer: Authorizer | None = None
    throttle: Throttle | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """A WebSocket API with its one stage."""

    id: str
    stage: str
    region: str
    routes: Mapping[str, Route]
    selection: str = "$request.body.action"
    throttle: Throttle | None = None
    stage_variables: Mapping[str, str] | None = None

    @property
    def domain_name(self) -> str:
        """The host name that AWS would serve the API at."""
        return f"{self.id}.execute-api.{self.region}.amazonaws.com"

    @property
    def selects_by_body_alone(self) -> bool:
        """Whether the route selection expression reads nothing but the body of a frame."""
        return "$" not in BODY_PATH.sub("", self.selection)

    def route_arn(self, route_key: str) -> str:
        """Return the ARN of a route, which permissions and authorizers' policies name."""
        return f"arn:aws:execute-api:{self.region}:{ACCOUNT_ID}:{self.id}/{self.stage}/{route_key}"


@dataclass(frozen=True, slots=True)
class Storage:
    """A table or a bucket: its name, and its properties as the template has them, resolved."""

    kind: str
    name: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stack:
    """All that a run needs of a template.

    `notices` name what cannot be honoured here; `warnings` what AWS would accept without a word,
    and is a mistake all the same.
    """

    region: str
    api: Api
    functions: Mapping[str, Function]
    storage: tuple[Storage, ...]
    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def function_of_arn(arn: str) -> str | None:
    """Return the name of the function in an ARN (with or without a version or alias)."""
    match arn.split(":"):
        case ["arn", _, "lambda", _, _, "function", name, *_]:
            return name
    return None
