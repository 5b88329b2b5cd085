"""The logger and the metrics that every module shares.

Powertools reads their names from the environment: ``POWERTOOLS_SERVICE_NAME`` and
``POWERTOOLS_METRICS_NAMESPACE``, both set by the template. Metrics are named in CamelCase, counts
in the plural.

Never pass either of them the text of a message, a token, a presigned URL or the name of a file.
An exception's message may hold any of these, so it is not logged either: see `log_unexpected`.
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

logger = Logger(location=None)
metrics = Metrics()
# Pushes run in parallel, and Powertools' metrics are not thread-safe.
_counting = Lock()

# Powertools adds these, and the log group names the function already. Logs are billed by the byte.
_KNOWN = ["function_name", "function_arn", "function_memory_size"]


def count(name: str, value: int = 1) -> None:
    """Add to a metric of this invocation, unless it is 0; CloudWatch sums it up."""
    if value:
        with _counting:
            metrics.add_metric(name=name, unit="Count", value=value)


def record(name: str, value: float, unit: Literal["Count", "Milliseconds"]) -> None:
    """Add one measurement, 0 too, to a metric; CloudWatch has its sum, percentiles and maximum."""
    metrics.add_metric(name=name, unit=unit, value=value)


def count_refusal(code: str) -> None:
    """Count a refusal, of this function, and again by its code, over all functions."""
    metrics.add_dimensions(code=code)
    count("Refusals")


class Unexpected(Exception):
    """An exception that the code does not expect."""


def log_unexpected(error: Exception) -> None:
    """Log an exception's class and traceback, but not its message, which may quote a value."""
    logger.error("unexpected error", exception="\n".join(_describe(error)))


def kind_of(error: BaseException) -> str:
    """Return an exception's class; of an AWS service's answer also its code and operation."""
    kind = type(error).__name__
    if isinstance(error, ClientError):
        return f"{kind}: {error.response['Error']['Code']} ({error.operation_name})"
    return kind


def cause_of(error: BaseException) -> str | None:
    """Return the kind of the cause of an exception; none if it has no cause."""
    return kind_of(error.__cause__) if error.__cause__ else None


def _describe(error: BaseException) -> list[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    # The lines that this shows are of source code, and hold no values.
    where = "".join(format_list(extract_tb(error.__traceback__))).rstrip()
    return [*([*_describe(cause), "which led to"] if cause else []), where, kind_of(error)]


def instrumented[Answer](
    function: Callable[[Any, LambdaContext], Answer],
) -> Callable[[Any, LambdaContext], Answer]:
    """Add the invocation's ids to a Lambda handler's log lines, and flush its metrics.

    Lambda logs the message of an exception that leaves the handler. So only exceptions with our own
    messages leave it: a `ChatError`, or an `Unexpected` in place of any other.
    """

    @logger.inject_lambda_context(clear_state=True)
    @wraps(function)
    def lambda_handler(event: Any, context: LambdaContext) -> Answer:
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
