"""Read integrations that are no proxies."""

import re
from collections.abc import Container, Mapping

from local.template.model import MappedIntegration, MappedResponse
from local.template.properties import Properties

# The services that can be called with the text of a request.
_SERVICES = {"dynamodb", "sns", "sqs"}
_TARGET = re.compile(r"arn:[^:]*:apigateway:[^:]*:(\w+):((?:action|path)/.*)$")
_DIRECTIVE = re.compile(r"#(if|else|elseif|foreach|macro|parse|include)\b")


def read_mapped_response(_name: str, properties: Properties) -> tuple[str, MappedResponse]:
    """Return the integration that an integration response belongs to, and the response."""
    response = MappedResponse(
        properties.text("IntegrationResponseKey"),
        read_templates(properties, "ResponseTemplates"),
        properties.text("TemplateSelectionExpression", "$default"),
    )
    return properties.text("IntegrationId"), response


def read_templates(properties: Properties, name: str) -> dict[str, str]:
    """Return mapping templates by their keys."""
    templates = properties.mapping(name)
    return {key: templates.text(key) for key in templates}


def mapped_target(
    kind: str, uri: str, function: str | None, functions: Container[str]
) -> tuple[str, str] | None:
    """Return the kind and the target of a `MappedIntegration`, or `None` if it does not run."""
    if kind == "MOCK":
        return "MOCK", ""
    if function is not None:
        return ("function", function) if function in functions else None
    match = _TARGET.match(uri)
    return ("service", f"{match[1]}:{match[2]}") if match and match[1] in _SERVICES else None


def unknown_directive(integration: MappedIntegration) -> str | None:
    """Return a directive of the integration's templates that cannot be evaluated here."""
    groups: list[Mapping[str, str]] = [integration.templates]
    groups += [response.templates for response in integration.responses]
    texts = [text for group in groups for text in group.values()]
    return next((match[0] for text in texts if (match := _DIRECTIVE.search(text))), None)
