"""The logger and the metrics that every module shares.

Powertools reads their names from the environment: ``POWERTOOLS_SERVICE_NAME`` and
``POWERTOOLS_METRICS_NAMESPACE``, both set by the template.

Never pass either of them the text of a message, a token or a presigned URL.
"""

from aws_lambda_powertools import Logger, Metrics

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
