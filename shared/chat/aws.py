"""The AWS clients: one botocore session a container, and a client for each service in use.

botocore and not boto3, because boto3 adds a tenth to the time a cold container needs, and
nothing here would use what it adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, cast

import botocore
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from chat.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

TRY_AGAIN = "The service is busy. Send the same again in a moment."

PARALLEL_CALLS = 32
"""How many calls one invocation makes side by side, and so how many sockets a client keeps."""

# An attempt lasts at most 1.5 s, so that two of them, with botocore's pause of up to 1 s between
# them, end within 4 s. The longest chain of calls, in send_message, is six of those (who sends, the
# last attempt to store, what was sent first, the connections, the push, a dead connection's rows),
# `messages.STORE_TIMEOUT_S` of attempts before the last and a second for connections that DynamoDB
# left out: 27 s of its 28 s. The two calls that a file needs, of 3 s each (see _SIGNING), come
# before, but leave only one attempt to store where they take longer than `STORE_TIMEOUT_S`.
_CALM = Config(
    connect_timeout=0.5,
    read_timeout=1.0,
    max_pool_connections=PARALLEL_CALLS,
    retries={"mode": "standard", "total_max_attempts": 2},
    tcp_keepalive=True,
    # botocore puts its own together anew, twice for each call: an eighth of the CPU of a call.
    user_agent=f"serverless-chat-backend botocore/{botocore.__version__}",
)
# Without all three, links are signed with Signature Version 2, name the global host, or do so in
# us-east-1 only. The global host redirects for hours after a bucket was made elsewhere, and a
# redirect breaks a browser's CORS preflight:
# https://repost.aws/knowledge-center/s3-http-307-response
#
# S3 is given less time than the others, 1 s an attempt, because a message with a file waits for it
# twice before it is stored. It is asked for no bytes, and answers in tens of milliseconds.
_SIGNING = _CALM.merge(
    Config(
        connect_timeout=0.4,
        read_timeout=0.6,
        signature_version="s3v4",
        s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    )
)

# What a service answers when it is overloaded rather than asked wrongly, beside the statuses from
# 500 on. DynamoDB's words:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_OVERLOADED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    # Not overload, but as passing: another transaction holds the row.
    "TransactionConflictException",
    "TransactionInProgressException",
    # S3's word for another change to the same file's tags:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
    "OperationAborted",
    # Lambda's word for it: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    "TooManyRequestsException",
}
_SERVERS_FAULT = 500

UNREACHABLE = (NoConnection, HTTPClientError)
"""What botocore raises where nobody answered.

The first: no connection came about (in time). The second: one came about and broke, or brought no
answer in time. Neither is a kind of the other.
"""


# Threads start when they are first needed, and wait for the next invocation.
_threads = ThreadPoolExecutor(PARALLEL_CALLS)


def in_parallel[Result](calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Make calls in parallel; return their results, in order.

    All of them have ended when this returns or raises. One that went on after the handler's answer
    would be frozen together with the container, and thawed in the middle of another invocation.

    Raises:
        Exception: What the first call that failed raised.
    """
    others = [_threads.submit(call) for call in calls[1:]]
    try:
        # The first in this thread: most messages go to one device.
        first = [call() for call in calls[:1]]
    finally:
        wait(others)
    return first + [other.result() for other in others]


@cache
def session() -> botocore.session.Session:
    """Make this container's session."""
    return botocore.session.get_session()


@cache
def dynamodb() -> DynamoDBClient:
    """Make this container's DynamoDB client."""
    return cast("DynamoDBClient", session().create_client("dynamodb", config=_CALM))


@cache
def s3() -> S3Client:
    """Make this container's S3 client, which signs links for the regional host."""
    return cast("S3Client", session().create_client("s3", config=_SIGNING))


@cache
def management_api() -> ApiGatewayManagementApiClient:
    """Make this container's API Gateway Management API client.

    botocore takes the endpoint from ``AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI``.
    """
    return cast(
        "ApiGatewayManagementApiClient",
        session().create_client("apigatewaymanagementapi", config=_CALM),
    )


@cache
def lambda_api() -> LambdaClient:
    """Make this container's Lambda client."""
    return cast("LambdaClient", session().create_client("lambda", config=_CALM))


@contextmanager
def overload_as_unavailable() -> Iterator[None]:
    """Turn an overloaded or unreachable service into something the client can act on.

    Raises:
        Unavailable: The service throttled us, failed inside, or did not answer in time, and did so
            again each time botocore tried.
        ClientError: Anything else that the service said: a mistake of ours.
    """
    try:
        yield
    except ClientError as error:
        # S3 answers a HEAD with a status and no word.
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status < _SERVERS_FAULT and error.response["Error"]["Code"] not in _OVERLOADED:
            raise
        raise Unavailable(TRY_AGAIN) from error
    except UNREACHABLE as error:
        raise Unavailable(TRY_AGAIN) from error
