"""The logger and the metrics that every module shares.

Powertools reads their names from the environment: ``POWERTOOLS_SERVICE_NAME`` and
``POWERTOOLS_METRICS_NAMESPACE``, both set by the template.

Never pass either of them the text of a message, a token, a presigned URL or the name of a file.
What an exception says may hold any of these, so it is not logged either: see `log_unexpected`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import Lock
from traceback import extract_tb, format_list
from typing import TYPE_CHECKING, Any, Literal

from aws_lambda_powertools import Logger, Metrics
from botocore.exceptions import ClientError

from chat.errors import ChatError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Messages are constant, and so tell where a line comes from.
logger = Logger(location=None)
metrics = Metrics()
# Devices are pushed to side by side, and Powertools' metrics are not made for that.
_counting = Lock()

# What Powertools adds though the log group says it. Logs are billed by the byte.
_KNOWN = ["function_name", "function_arn", "function_memory_size"]


def count(name: str, value: int = 1) -> None:
    """Add to a metric of this invocation; CloudWatch sums it up.

    Args:
        name: What was counted, in CamelCase, in the plural.
        value: How many; nothing is recorded for 0.
    """
    if value:
        with _counting:
            metrics.add_metric(name=name, unit="Count", value=value)


def record(name: str, value: float, unit: Literal["Count", "Milliseconds"]) -> None:
    """Add one measurement to a metric; CloudWatch gives the sum, the percentiles and the most.

    Args:
        name: What was measured, in CamelCase.
        value: How much; 0 is recorded too.
        unit: What of.
    """
    metrics.add_metric(name=name, unit=unit, value=value)


def count_refusal(code: str) -> None:
    """Count a refusal, of this function, and again by its code, over all functions."""
    metrics.add_dimensions(code=code)
    count("Refusals")


class Unexpected(Exception):
    """Something went wrong that nobody thought of."""


def log_unexpected(error: Exception) -> None:
    """Log what kind an exception is and where it came from, but nothing that it says.

    botocore, for one, quotes the value that it would not send.
    """
    logger.error("unexpected error", exception="\n".join(_describe(error)))


def kind_of(error: BaseException) -> str:
    """Name the kind of an exception; of an AWS service's answer also its code and operation."""
    kind = type(error).__name__
    if isinstance(error, ClientError):
        return f"{kind}: {error.response['Error']['Code']} ({error.operation_name})"
    return kind


def cause_of(error: BaseException) -> str | None:
    """Name the kind of what an exception was raised from; none if it is the first."""
    return kind_of(error.__cause__) if error.__cause__ else None


def _describe(error: BaseException) -> list[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    # The lines that this shows are of source code, and hold no values.
    where = "".join(format_list(extract_tb(error.__traceback__))).rstrip()
    return [*([*_describe(cause), "which led to"] if cause else []), where, kind_of(error)]


def instrumented[Answer](
    function: Callable[[Any, LambdaContext], Answer],
) -> Callable[[Any, LambdaContext], Answer]:
    """Give a Lambda handler's log lines the ids of its invocation, and flush what it counted.

    Lambda logs an exception that leaves the handler, with what it says. So only those leave whose
    words are ours: a `ChatError`, or in place of any other an `Unexpected`.
    """

    @logger.inject_lambda_context(clear_state=True)
    @wraps(function)
    def lambda_handler(event: Any, context: LambdaContext) -> Answer:  # noqa: ANN401 -- any JSON
        logger.remove_keys(_KNOWN)
        try:
            return function(event, context)
        except ChatError:
            raise
        except Exception as error:  # noqa: BLE001 -- another is raised
            log_unexpected(error)
            raise Unexpected("The log line before this one says more.") from None
        finally:
            if metrics.provider.metric_set:
                metrics.flush_metrics()

    return lambda_handler
