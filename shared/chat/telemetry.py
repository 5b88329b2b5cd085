"""The logger and the metrics that every module shares.

Powertools reads their names from the environment: ``POWERTOOLS_SERVICE_NAME`` and
``POWERTOOLS_METRICS_NAMESPACE``, both set by the template.

Never pass either of them the text of a message, a token or a presigned URL.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()


def count(name: str, value: int = 1) -> None:
    """Add to a metric of this invocation; CloudWatch sums it up.

    Args:
        name: What was counted, in CamelCase, in the plural.
        value: How many; nothing is recorded for 0.
    """
    if value:
        metrics.add_metric(name=name, unit="Count", value=value)


def instrumented[Answer](
    function: Callable[[Any, LambdaContext], Answer],
) -> Callable[[Any, LambdaContext], Answer]:
    """Give a Lambda handler's log lines the ids of its invocation, and flush what it counted."""

    @logger.inject_lambda_context(clear_state=True)
    @wraps(function)
    def lambda_handler(event: Any, context: LambdaContext) -> Answer:  # noqa: ANN401 -- any JSON
        try:
            return function(event, context)
        finally:
            if metrics.provider.metric_set:
                metrics.flush_metrics()

    return lambda_handler
