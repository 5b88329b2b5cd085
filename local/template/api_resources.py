"""The resources of a template's WebSocket API, resolved once for `apis` and `lint`."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from local.errors import LocalError, Unknown
from local.template.mapped import read_mapped_response, read_templates
from local.template.model import INTEGRATION_TIMEOUT_S, MappedResponse, Throttle
from local.template.properties import Properties
from local.template.template import Template

_V2 = "AWS::ApiGatewayV2"
_NOT_IMITATED = ("ApiKeyRequired", "RequestModels", "RequestParameters")


@dataclass(frozen=True, slots=True)
class StageResource:
    """A stage. `throttles` are the limits of single routes, by route key."""

    name: str
    variables: Mapping[str, str]
    default_throttle: Throttle | None
    throttles: Mapping[str, Throttle | None]
    is_deployed: bool


@dataclass(frozen=True, slots=True)
class IntegrationResource:
    """An integration. `has_role` is whether it invokes its function by a role.

    `templates` and `selection` are those of the request, and `responses` the integration responses.
    """

    kind: str
    uri: str
    timeout_s: float
    has_role: bool
    templates: Mapping[str, str]
    selection: str
    responses: tuple[MappedResponse, ...]


@dataclass(frozen=True, slots=True)
class AuthorizerResource:
    """An authorizer."""

    uri: str
    identity_sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RouteResource:
    """A route. `id` is what `Ref` gives; `integration` is `None` if it has none.

    `expects_response` is whether it has a `RouteResponseSelectionExpression`; `not_imitated` are
    the properties that have no effect here.
    """

    id: str
    key: str
    integration: IntegrationResource | None
    expects_response: bool
    authorization: str
    authorizer: AuthorizerResource | None
    not_imitated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RouteResponseResource:
    """A route response: the id of its route, and its key."""

    route_id: str
    key: str


@dataclass(frozen=True, slots=True)
class ApiResources:
    """A WebSocket API and what belongs to it. `stage` is served, `other_stages` are not."""

    id: str
    selection: str
    stage: StageResource
    other_stages: tuple[StageResource, ...]
    routes: tuple[RouteResource, ...]
    route_responses: tuple[RouteResponseResource, ...]

    @property
    def answered_route_ids(self) -> frozenset[str]:
        """The ids of the routes whose function's body goes back to the client."""
        return frozenset(
            response.route_id for response in self.route_responses if response.key == "$default"
        )


class NoApi(LocalError):
    """The template has no WebSocket API."""


def read_api_resources(template: Template, wanted: str | None) -> ApiResources:
    """Return the resources of the template's WebSocket API.

    Args:
        template: The template.
        wanted: The logical id of the API; `None` if there is only one.

    Raises:
        LocalError: If there is none, or none by that name, or more than one to choose from, or if
            a property of it is missing or wrong.

    """
    api_logical_id, properties = _choose(template, wanted)
    api_id = template.ref(api_logical_id)
    stages = list(_of_api(template, "Stage", api_id, lambda _, each: _stage(each)))
    if not stages:
        raise LocalError(f"{template.path}: the WebSocket API has no stage")
    ref = template.ref
    responses = list(_of_api(template, "IntegrationResponse", api_id, read_mapped_response))

    def integration(name: str, each: Properties) -> tuple[str, IntegrationResource]:
        own = tuple(response for owner, response in responses if owner == ref(name))
        return ref(name), _integration(each, own)

    integrations = dict(_of_api(template, "Integration", api_id, integration))
    authorizers = dict(
        _of_api(template, "Authorizer", api_id, lambda name, each: (ref(name), _authorizer(each)))
    )
    return ApiResources(
        id=api_id,
        selection=properties.text("RouteSelectionExpression", "$request.body.action"),
        stage=stages[0],
        other_stages=tuple(stages[1:]),
        routes=tuple(
            _of_api(
                template,
                "Route",
                api_id,
                lambda name, each: _route(ref(name), each, integrations, authorizers),
            )
        ),
        route_responses=tuple(
            _of_api(template, "RouteResponse", api_id, lambda _, each: _route_response(each))
        ),
    )


def _choose(template: Template, wanted: str | None) -> tuple[str, Properties]:
    found = {
        logical_id: properties
        for logical_id, properties in template.of_kind(f"{_V2}::Api").items()
        if properties.optional_text("ProtocolType") == "WEBSOCKET"
    }
    if wanted is not None and wanted in found:
        return wanted, found[wanted]
    if not found:
        raise NoApi(f"{template.path} has no WebSocket API")
    if wanted is not None or len(found) > 1:
        raise LocalError(f"{template.path}: choose the API with --api: {' or '.join(found)}")
    ((logical_id, properties),) = found.items()
    return logical_id, properties


def _of_api[T](
    template: Template, kind: str, api_id: str, read: Callable[[str, Properties], T]
) -> Iterator[T]:
    """Yield what `read` makes of each resource of a kind that belongs to the API.

    Args:
        template: The template.
        kind: The last part of the resources' type.
        api_id: The API.
        read: Takes the logical id of a resource, and its properties.

    """
    for logical_id, properties in template.of_kind(f"{_V2}::{kind}").items():
        # A resource of an API that only AWS knows is none of this API. A notice names the property.
        with contextlib.suppress(Unknown):
            if properties.text("ApiId") == api_id:
                yield read(logical_id, properties)


def _stage(properties: Properties) -> StageResource:
    variables = properties.mapping("StageVariables")
    settings = properties.mapping("RouteSettings")
    return StageResource(
        name=properties.text("StageName"),
        variables={name: variables.text(name) for name in variables},
        default_throttle=_throttle(properties.mapping("DefaultRouteSettings")),
        throttles={key: _throttle(settings.mapping(key)) for key in settings},
        is_deployed=(
            bool(properties.read("DeploymentId")) or properties.text("AutoDeploy", "") == "true"
        ),
    )


def _throttle(settings: Properties) -> Throttle | None:
    rate = settings.number("ThrottlingRateLimit", 0)
    if not rate:
        return None
    return Throttle(rate, int(settings.number("ThrottlingBurstLimit", 0) or rate))


def _integration(
    properties: Properties, responses: tuple[MappedResponse, ...]
) -> IntegrationResource:
    return IntegrationResource(
        kind=properties.text("IntegrationType"),
        uri=properties.text("IntegrationUri", ""),
        timeout_s=properties.number("TimeoutInMillis", 0) / 1000 or INTEGRATION_TIMEOUT_S,
        has_role=bool(properties.read("CredentialsArn")),
        templates=read_templates(properties, "RequestTemplates"),
        selection=properties.text("TemplateSelectionExpression", "$default"),
        responses=responses,
    )


def _authorizer(properties: Properties) -> AuthorizerResource:
    return AuthorizerResource(
        properties.text("AuthorizerUri", ""), tuple(properties.texts("IdentitySource"))
    )


def _route_response(properties: Properties) -> RouteResponseResource:
    return RouteResponseResource(properties.text("RouteId"), properties.text("RouteResponseKey"))


def _route(
    route_id: str,
    properties: Properties,
    integrations: Mapping[str, IntegrationResource],
    authorizers: Mapping[str, AuthorizerResource],
) -> RouteResource:
    target = properties.text("Target", "").removeprefix("integrations/")
    return RouteResource(
        id=route_id,
        key=properties.text("RouteKey"),
        integration=integrations.get(target),
        expects_response=bool(properties.read("RouteResponseSelectionExpression")),
        authorization=properties.text("AuthorizationType", "NONE"),
        authorizer=authorizers.get(properties.text("AuthorizerId", "")),
        not_imitated=tuple(name for name in _NOT_IMITATED if properties.read(name)),
    )
