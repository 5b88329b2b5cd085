"""Replace CloudFormation's dynamic references by the parameters and secrets that exist.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.storage.clients import ClientOf
from local.template.model import DYNAMIC_REFERENCE, Function, Storage

# The id of a secret may be an ARN, which has colons.
_SECRET = re.compile(r"((?:arn:[^:]*:secretsmanager:[^:]*:[^:]*:secret:)?[^:]*)(?::(.*))?")


def has_references(item: Storage) -> bool:
    """Return whether a property of a resource has a dynamic reference."""
    return DYNAMIC_REFERENCE.search(json.dumps(item.properties, default=str)) is not None


class _NoValueError(Exception):
    """A reference has no value here; the text says why."""


class DynamicReferences:
    """The references of a stack, whose values are read when they are needed first.

    Args:
        client_of: Returns the client of a service.

    """

    def __init__(self, client_of: ClientOf) -> None:
        self._client_of = client_of
        self._unresolved: dict[str, list[str]] = {}
        self._value = functools.cache(self._read)

    @property
    def unresolved(self) -> list[str]:
        """A line for each reference that has no value, with where it is."""
        return [f"{line}, in {', '.join(where)}" for line, where in self._unresolved.items()]

    def in_storage(self, item: Storage) -> Storage:
        """Return a resource without the properties that have no value."""
        found = {}
        for name, written in item.properties.items():
            value, is_known = self._replaced(written, f"{item.name}: {name}")
            if is_known:
                found[name] = value
        return replace(item, properties=found)

    def in_functions(self, functions: Mapping[str, Function]) -> dict[str, Function]:
        """Return functions with the values in their variables; others stay as they are written."""
        found = {}
        for name, function in functions.items():
            variables = tuple(
                (key, self._replaced(text, f"{name}: variable {key}")[0])
                for key, text in function.environment
            )
            found[name] = replace(function, environment=variables)
        return found

    def _replaced(self, value: Any, where: str) -> tuple[Any, bool]:
        """Return a value with those of its references, and whether all of them have one."""
        if isinstance(value, list | dict):
            keys = value.keys() if isinstance(value, dict) else range(len(value))
            items = {key: self._replaced(value[key], where) for key in keys}
            known = {key: item for key, (item, is_known) in items.items() if is_known}
            return (known if isinstance(value, dict) else [*known.values()]), True
        if not isinstance(value, str):
            return value, True
        unknown = []

        def text_of(match: re.Match[str]) -> str:
            try:
                return self._value(match[1], match[2])
            except _NoValueError as error:
                line = f"{match[0]} has no value here: {error}"
                self._unresolved.setdefault(line, []).append(where)
                unknown.append(match[0])
                return match[0]

        return DYNAMIC_REFERENCE.sub(text_of, value), not unknown

    def _read(self, service: str, reference: str) -> str:
        if service == "ssm-secure":
            raise _NoValueError("few properties take ssm-secure, and none of them is imitated")
        try:
            return self._parameter(reference) if service == "ssm" else self._secret(reference)
        except ClientError as error:
            raise _NoValueError(error.response["Error"]["Code"]) from error
        except (BotoCoreError, ValueError, KeyError, TypeError) as error:
            raise _NoValueError(f"{type(error).__name__}: {error}") from error

    def _parameter(self, reference: str) -> str:
        """Return the value for `name` or `name:version`."""
        parameter = self._client_of("ssm").get_parameter(Name=reference)["Parameter"]
        if parameter["Type"] == "SecureString":
            raise _NoValueError("it is a SecureString")
        value: str = parameter["Value"]
        return value

    def _secret(self, reference: str) -> str:
        """Return the value for `secret-id:SecretString:json-key:version-stage:version-id`."""
        match = _SECRET.fullmatch(reference)
        if match is None:
            raise _NoValueError("it has a line break")
        rest: list[str] = (match[2] or "").split(":")
        _, key, stage, version, *_ = [*rest, "", "", "", ""]
        arguments = {"VersionStage": stage, "VersionId": version}
        answer = self._client_of("secretsmanager").get_secret_value(
            SecretId=match[1],
            **{name: text for name, text in arguments.items() if text},
        )
        text: str = answer["SecretString"]
        if not key:
            return text
        value = json.loads(text)[key]
        return value if isinstance(value, str) else json.dumps(value)
