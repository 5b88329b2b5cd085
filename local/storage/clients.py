"""Make clients of boto3 for one endpoint."""

import functools
from collections.abc import Callable
from typing import Any

from botocore.config import Config

from local.credentials import Credentials

type ClientOf = Callable[[str], Any]
"""Returns the client of a service, the same one each time."""


def clients(endpoint: str, region: str, credentials: Credentials) -> ClientOf:
    """Return what makes the clients; it loads boto3 for the first one."""

    @functools.cache
    def client_of(service: str) -> Any:
        return session().client(service, endpoint_url=endpoint, config=config)

    @functools.cache
    def session() -> Any:
        import boto3  # noqa: PLC0415 -- in this thread, while others start

        return boto3.Session(
            credentials.access_key,
            credentials.secret_key,
            credentials.session_token,
            region_name=region,
        )

    config = Config(retries={"total_max_attempts": 3}, connect_timeout=5, read_timeout=20)
    return client_of
