"""The records that a template resolves to: functions, a WebSocket API, tables and buckets.

Other packages import nothing of `local.template` but this module.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.iam.policies import Role

# The account number in AWS's own examples; moto's default account too.
ACCOUNT_ID = "123456789012"

# The parts of a route selection expression that can be evaluated here: $request.body.action,
# ${request.body.action}.
BODY_PATH = re.compile(r"\$\{request\.body\.([^}]+)\}|\$request\.body\.([\w.\[\]-]+)")


# What CloudFormation replaces by a parameter or a secret while it creates resources.
DYNAMIC_REFERENCE = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):([^{}]+)\}\}")

# How long API Gateway waits for a function, if the integration itself sets no limit:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
INTEGRATION_TIMEOUT_S = 29.0


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function.

    `code` is the folder of its handler; `layers` are the folders of its layers' packages.
    `max_retries` is how often a failed asynchronous invocation is retried.
    """

    name: str
    arn: str
    handler: str
    code: Path
    layers: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 3
    memory_mib: int = 128
    log_group: str = ""
    log_format: str = "Text"
    log_level: str = "INFO"
    max_retries: int = 2


@dataclass(frozen=True, slots=True)
class Authorizer:
    """A Lambda authorizer, which accepts or refuses a handshake before `$connect`."""

    function: str
    identity_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Throttle:
    """A limit: `rate` requests a second in the long run, and `burst` at once."""

    rate: float
    burst: int


@dataclass(frozen=True, slots=True)
class MappedResponse:
    """An integration response: its key, its templates, and what chooses one of them."""

    key: str
    templates: Mapping[str, str]
    selection: str = "$default"


@dataclass(frozen=True, slots=True)
class MappedIntegration:
    """An integration that is no proxy, with its request templates and what chooses one of them.

    `kind` is `MOCK`, `function` or `service`; `target` is the name of the function, or the service
    with its action, as in `dynamodb:action/PutItem`.
    """

    kind: str
    target: str
    templates: Mapping[str, str]
    selection: str = "$default"
    responses: tuple[MappedResponse, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A route: its key, and its function, or `None` if that does not run here.

    `mapped` is its integration if that is no proxy.

    `replies` is whether the function's body goes back to the client, by a route response.
    `timeout_s` is the integration's. `not_imitated` is why it does not run here, or empty.
    """

    key: str
    function: str | None
    mapped: MappedIntegration | None = None
    not_imitated: str = ""
    replies: bool = False
    timeout_s: float = INTEGRATION_TIMEOUT_S
    authorizer: Authorizer | None = None
    throttle: Throttle | None = None

    @property
    def runs(self) -> str:
        """What the route runs, for the developer."""
        mapped = self.mapped
        invoked = mapped.target if mapped is not None and mapped.kind == "function" else None
        return self.function or invoked or "its integration"


@dataclass(frozen=True, slots=True)
class Api:
    """A WebSocket API with the one stage that is served."""

    id: str
    stage: str
    region: str
    routes: Mapping[str, Route]
    selection: str = "$request.body.action"
    throttle: Throttle | None = None
    stage_variables: Mapping[str, str] | None = None

    @property
    def functions(self) -> frozenset[str]:
        """The names of the functions that routes and authorizers need."""
        routes = self.routes.values()
        return frozenset(
            [route.function for route in routes if route.function]
            + [route.authorizer.function for route in routes if route.authorizer]
        )

    def has_running_route(self, failed: Container[str]) -> bool:
        """Return whether a route runs, or there is none; `failed` are functions that do not."""
        routes = self.routes.values()
        return not routes or any(
            route.mapped is not None or (route.function and route.function not in failed)
            for route in routes
        )

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
    """A table, a bucket, a queue, a topic or a subscription, with its properties, resolved."""

    kind: str
    name: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventSource:
    """What invokes a function: the stream of a table, a queue or a topic.

    `kind` is `dynamodb`, `sqs` or `sns`; `name` is that of the table or of the queue that is read;
    `from_start` is whether records from before the start count; `max_retries` is `None` for no
    limit; `filters` are patterns as JSON, of which a record must match one.
    """

    kind: str
    name: str
    arn: str
    function: str
    batch_size: int = 10
    window_s: float = 0
    from_start: bool = True
    max_retries: int | None = None
    bisects: bool = False
    reports_failures: bool = False
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """A template, resolved: all that a run needs of it.

    `roles` are those that can be read, by the names of their functions, and `role_notices` name the
    others. `notices` name the parts that are not imitated here, `warnings` the mistakes that AWS
    accepts without an error.
    """

    region: str
    api: Api
    functions: Mapping[str, Function]
    storage: tuple[Storage, ...]
    event_sources: tuple[EventSource, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    role_notices: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def function_of_arn(arn: str) -> str | None:
    """Return the name of the function in an ARN (with or without a version or alias)."""
    match arn.split(":"):
        case ["arn", _, "lambda", _, _, "function", name, *_]:
            return name
    return None
