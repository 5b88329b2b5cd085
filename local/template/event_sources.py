"""Read what else invokes functions than the API: streams of tables, queues and topics.

SAM's transform makes the same resources of a function's `Events`.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from local.errors import Unknown
from local.template.model import EventSource, Storage, function_of_arn
from local.template.properties import Json, Properties
from local.template.template import Template

# https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html
_BATCH_SIZES = {"dynamodb": 100, "sqs": 10}
_ATTRIBUTES = ("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery")


def read_event_sources(
    template: Template, functions: Container[str]
) -> tuple[tuple[EventSource, ...], tuple[Storage, ...]]:
    """Return the event sources, and the queues and subscriptions that they need.

    Args:
        template: The template.
        functions: The names of the functions that run here.

    """
    sources: list[EventSource] = []
    storage: list[Storage] = []
    mappings = template.of_kind("AWS::Lambda::EventSourceMapping", quiet=True)
    for logical_id, properties in mappings.items():
        try:
            source = _mapping(properties)
        except Unknown:
            source = None
        if source is None:
            template.notices.append(f"{logical_id}: its event source does not exist here")
        elif source.function not in functions:
            template.notices.append(f"{logical_id}: its function does not run here")
        elif properties.text("Enabled", "true") == "true":
            sources.append(source)
    for each in _subscriptions(template):
        function = function_of_arn(each.endpoint)
        if each.protocol == "lambda" and function in functions:
            # Moto delivers to queues, so a queue takes the messages to the function.
            queue = f"local-{each.name}-messages"
            sources.append(EventSource("sns", queue, each.topic, str(function), batch_size=1))
            storage.append(Storage("AWS::SQS::Queue", queue, {}))
            storage.append(each.to(template.names.arn("sqs", queue)))
        elif each.protocol == "sqs":
            storage.append(each.to(each.endpoint))
        else:
            template.notices.append(f"{each.name}: what it subscribes to does not arrive here")
    return tuple(sources), tuple(storage)


def _mapping(properties: Properties) -> EventSource | None:
    arn = properties.text("EventSourceArn", "")
    match arn.split(":", 5):
        case ["arn", _, "dynamodb", _, _, resource] if "/stream/" in resource:
            kind, name = "dynamodb", resource.split("/")[1]
        case ["arn", _, "sqs", _, _, name]:
            kind = "sqs"
        case _:
            return None
    function = properties.text("FunctionName")
    retries = int(properties.number("MaximumRetryAttempts", -1))
    return EventSource(
        kind=kind,
        name=name,
        arn=arn,
        function=function_of_arn(function) or function.partition(":")[0],
        batch_size=int(properties.number("BatchSize", _BATCH_SIZES[kind])),
        window_s=properties.number("MaximumBatchingWindowInSeconds", 0),
        from_start=properties.text("StartingPosition", "LATEST") != "LATEST",
        max_retries=None if retries < 0 else retries,
        bisects=properties.text("BisectBatchOnFunctionError", "false") == "true",
        reports_failures="ReportBatchItemFailures" in properties.texts("FunctionResponseTypes"),
        filters=tuple(
            each.text("Pattern")
            for each in properties.mapping("FilterCriteria").mappings("Filters")
        ),
    )


@dataclass(frozen=True, slots=True)
class _Subscription:
    """A subscription to a topic: what receives its messages, and by which protocol."""

    name: str
    topic: str
    protocol: str
    endpoint: str
    attributes: Mapping[str, Json]

    def to(self, queue_arn: str) -> Storage:
        """Return the subscription of a queue."""
        properties = {
            "TopicArn": self.topic, "Endpoint": queue_arn, "Attributes": self.attributes,
        }  # fmt: skip
        return Storage("AWS::SNS::Subscription", self.name, properties)


def _subscriptions(template: Template) -> Iterator[_Subscription]:
    """Yield the subscriptions, which are resources, or properties of their topics."""
    for logical_id, properties in template.of_kind("AWS::SNS::Subscription").items():
        attributes = {name: properties.read(name) for name in _ATTRIBUTES if name in properties}
        yield _Subscription(
            logical_id,
            properties.text("TopicArn", ""),
            properties.text("Protocol"),
            properties.text("Endpoint", ""),
            {name: value for name, value in attributes.items() if value is not None},
        )
    for logical_id, properties in template.of_kind("AWS::SNS::Topic").items():
        for number, each in enumerate(properties.mappings("Subscription")):
            protocol, endpoint = each.text("Protocol"), each.text("Endpoint", "")
            topic = template.ref(logical_id)
            yield _Subscription(f"{logical_id}-{number}", topic, protocol, endpoint, {})
