"""The AWS clients: one botocore session a container, and a client for each service in use.

boto3 would add a tenth to the time a cold container needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import botocore
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from chat.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

type DynamoDB = DynamoDBClient
type Lambda = LambdaClient
type ManagementApi = ApiGatewayManagementApiClient
type S3 = S3Client
type SNS = Any  # One call does not justify its stubs.
type Row = dict[str, AttributeValueTypeDef]

TRY_AGAIN = "The service is busy. Send the same again in a moment."

PARALLEL_CALLS = 32
"""How many calls one invocation makes in parallel, and so how many sockets a client keeps."""

# Short, so that the longest chain of calls ends before the function's timeout:
# tests/faults/test_longest_chain.py computes it from these.
_CONFIG = Config(
    connect_timeout=0.5,
    read_timeout=1.0,
    max_pool_connections=PARALLEL_CALLS,
    retries={"mode": "standard", "total_max_attempts": 2},
    tcp_keepalive=True,
    # botocore puts its own together anew, twice for each call: an eighth of the CPU of a call. This
    # one says in CloudTrail that the chat called.
    user_agent=f"serverless-chat-backend botocore/{botocore.__version__}",
)
# Without all three, links are signed with Signature Version 2, name the global host, or do so in
# us-east-1 only. The global host redirects for hours after a bucket was made elsewhere, and a
# redirect breaks a browser's CORS preflight:
# https://repost.aws/knowledge-center/s3-http-307-response
#
# S3 gets less time than the others, because a message with a file waits for it twice before it is
# stored. It is asked for no bytes, and answers in tens of milliseconds.
_S3_CONFIG = _CONFIG.merge(
    Config(
        connect_timeout=0.4,
        read_timeout=0.6,
        signature_version="s3v4",
        s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    )
)
# A copy takes S3 longer than an answer without bytes. There is no time for a second attempt.
COPYING = _S3_CONFIG.merge(Config(read_timeout=1.0, retries={"total_max_attempts": 1}))
# Codes of a service that is overloaded rather than asked wrongly, in addition to the statuses from
# 500 on. DynamoDB's:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_OVERLOADED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    # Not overload, but as transient: another transaction holds the row.
    "TransactionConflictException",
    "TransactionInProgressException",
    # S3's code for another change to the same file's tags:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
    "OperationAborted",
    # Lambda's: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    "TooManyRequestsException",
}
_SERVERS_FAULT = 500

UNREACHABLE = (NoConnection, HTTPClientError)
"""What botocore raises where no connection was made, or it broke, or brought no answer in time."""


_threads = ThreadPoolExecutor(PARALLEL_CALLS)


def in_parallel[Result](calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Make calls in parallel; return their results, in order, or raise the first failure.

    All of them have ended when this returns or raises: one that went on would be frozen together
    with the container, and thawed in the middle of another invocation.
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
    """Return this container's session."""
    return botocore.session.get_session()


@cache
def dynamodb() -> DynamoDBClient:
    """Return this container's DynamoDB client."""
    return cast("DynamoDBClient", session().create_client("dynamodb", config=_CONFIG))


@cache
def s3(config: Config = _S3_CONFIG) -> S3Client:
    """Return this container's S3 client, which signs links for the regional host."""
    return cast("S3Client", session().create_client("s3", config=config))


@cache
def management_api() -> ApiGatewayManagementApiClient:
    """Return this container's client; ``AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`` says where."""
    client = session().create_client("apigatewaymanagementapi", config=_CONFIG)
    return cast("ApiGatewayManagementApiClient", client)


@cache
def lambda_api() -> LambdaClient:
    """Return this container's Lambda client."""
    return cast("LambdaClient", session().create_client("lambda", config=_CONFIG))


@cache
def sns() -> SNS:
    """Return this container's SNS client. Nothing depends on its calls, so they get less time."""
    config = _CONFIG.merge(Config(connect_timeout=0.4, read_timeout=0.6))
    return session().create_client("sns", config=config)


class _Lazy[Client]:
    def __init__(self, create: Callable[[], Client]) -> None:
        self._create = create

    def __getattr__(self, name: str) -> object:
        return getattr(self._create(), name)


def lazily[Client](create: Callable[[], Client]) -> Client:
    """Return a client that is created when it is first used: most invocations do not use it."""
    return cast("Client", _Lazy(create))


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
