"""The credentials that functions, and the runner itself, sign their calls to AWS with."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key with its secret, and the token of a session, if they are those of one."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return those of the environment; without any, `test`, which emulators of AWS accept."""
        if "AWS_ACCESS_KEY_ID" not in environment:
            return cls("test", "test")
        return cls(
            environment["AWS_ACCESS_KEY_ID"],
            environment.get("AWS_SECRET_ACCESS_KEY", ""),
            environment.get("AWS_SESSION_TOKEN"),
        )

    def of_function(self, name: str) -> Self:
        """Return those of a function: the key to the embedded services names it."""
        if self.access_key != EMBEDDED.access_key:
            return self
        return replace(self, access_key=f"{self.access_key}-{name}")

    def variables(self) -> dict[str, str]:
        """Return them as environment variables."""
        token = {"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {}
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            **token,
        }

    def with_new_secret(self) -> Self:
        """Return them with a secret that nobody else can know."""
        return replace(self, secret_key=secrets.token_urlsafe())


EMBEDDED = Credentials("local", "local", secrets.token_urlsafe())
"""For the embedded DynamoDB and S3. On AWS a function has a session too.

The token is new at each start. S3 takes no link without it: with key and secret alone, any web page
could sign links.
"""


def function_of_key(access_key: str) -> str | None:
    """Return the name of the function that an access key belongs to, or `None`."""
    prefix = f"{EMBEDDED.access_key}-"
    return access_key.removeprefix(prefix) if access_key.startswith(prefix) else None
