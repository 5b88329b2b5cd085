"""Decide whether the role of a function allows a call.

The access key of a call names the function (`local/credentials.py`); so does that of a presigned
link, which has its signer's permissions at the time of its use. A call with another key is not a
function's, and is allowed.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.credentials import function_of_key
from local.iam.policies import Permission, Role, Statement
from local.template.model import ACCOUNT_ID


class RolesFile:
    """The roles of the functions, in a file: the embedded AWS is another process.

    Args:
        path: The file. While it does not exist, there are no roles, and every call is allowed.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[int, int] | None = None
        self._roles: dict[str, Role] = {}

    def write(self, roles: Mapping[str, Role]) -> None:
        """Replace the roles, by the names of their functions. The next call is subject to them."""
        new = self.path.with_suffix(".new")
        new.write_text(
            json.dumps(
                {
                    function: [role.name, [each.to_json() for each in role.statements]]
                    for function, role in roles.items()
                }
            )
        )
        new.replace(self.path)

    def role_of(self, function: str) -> Role | None:
        """Return the role of a function, or `None` if nothing is known of it."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        version = status.st_ino, status.st_mtime_ns
        if self._read != version:
            self._roles = {
                function: Role(name, tuple(map(Statement.from_json, statements)))
                for function, (name, statements) in json.loads(self.path.read_text()).items()
            }
            self._read = version
        return self._roles.get(function)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that a role does not allow."""

    function: str
    role: str
    permission: Permission
    is_explicit: bool

    @property
    def line(self) -> str:
        """What the developer reads."""
        reason = "its role denies it" if self.is_explicit else "its role does not allow it"
        action, resource = self.permission
        # A key of an object may hold anything.
        name = "".join(each if each.isprintable() else "?" for each in resource)
        return f"{self.function} may not {action} {name}: {reason}"

    def message(self, action: str, resource: str) -> str:
        """Return AWS's message, with the action and the resource as the service writes them.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
        """
        reason = (
            "with an explicit deny in an identity-based policy"
            if self.is_explicit
            else f"because no identity-based policy allows the {action} action"
        )
        user = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{self.role}/{self.function}"
        return (
            f"User: {user} is not authorized to perform: {action} on resource: {resource} {reason}"
        )


class AccessControl:
    """Decides about calls.

    Args:
        roles: The roles of the functions.
        report: Called with a line for the developer about each refusal.

    """

    def __init__(self, roles: RolesFile, report: Callable[[str], None]) -> None:
        self._roles = roles
        self._report = report

    def refusal(self, access_key: str, permissions: Iterable[Permission]) -> Refusal | None:
        """Return what is not allowed, and report it; return `None` if all is allowed.

        Args:
            access_key: The id of the key that the call is signed with.
            permissions: All that the call needs.

        """
        refusal = self.missing(access_key, permissions)
        if refusal is not None:
            self._report(refusal.line)
        return refusal

    def missing(self, access_key: str, permissions: Iterable[Permission]) -> Refusal | None:
        """Return the same, and report nothing."""
        function = function_of_key(access_key)
        role = self._roles.role_of(function) if function else None
        if function is None or role is None:
            return None
        for permission in permissions:
            if not role.allows(permission):
                return Refusal(function, role.name, permission, role.denies(permission))
        return None
