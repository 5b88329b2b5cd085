"""Moto with the ids of `local.ids`, in the process of the embedded AWS.

Reason: the template refers to user pools, app clients and secrets before they are created, and moto
gives them random ids. It can take ids from a digest, but of arguments that only moto knows
(`MOTO_COGNITO_IDP_USER_POOL_ID_STRATEGY`).
Upstream: https://github.com/getmoto/moto/blob/5.2.5/moto/cognitoidp/models.py (`generate_id`) and
moto/utilities/id_generator.py (`add_id_source`).
"""

from typing import Any

from local import ids
from local.patches.versions import require_checked_version


def know_ids_of(host: str | None) -> None:
    """Make moto use these ids for the service behind a host name, before its first request.

    Raises:
        LocalError: If moto has a version that was not checked.

    """
    require_checked_version("moto")
    if host is not None and host.startswith("cognito-idp."):
        _know_user_pools()
    elif host is not None and host.startswith("secretsmanager."):
        _know_secrets()


def _know_user_pools() -> None:
    from moto.cognitoidp import models as loaded  # noqa: PLC0415 -- for the first request

    models: Any = loaded  # which does not export what it imports

    if models.generate_id.__module__ == __name__:
        return
    random_id = models.generate_id
    given = set()

    def generate_id(strategy: str | None, *arguments: Any) -> str:
        owner, name, settings = arguments
        if isinstance(name, str):  # a pool: its region, its name
            found = ids.user_pool_id(owner, name).partition("_")[2]
        else:  # a client: its pool
            found = ids.user_pool_client_id(owner, settings.get("ClientName", ""))
        # On AWS two may have the same name.
        is_new = (owner, found) not in given
        given.add((owner, found))
        return found if is_new else random_id(strategy, *arguments)

    models.generate_id = generate_id


def _know_secrets() -> None:
    from moto.utilities.id_generator import moto_id_manager  # noqa: PLC0415 -- as above

    def suffix(context: Any) -> str | None:
        resource = context.get("resource_identifier")
        is_secret = resource is not None and resource.service == "secretsmanager"
        return ids.secret_suffix(resource.name) if is_secret else None

    moto_id_manager.add_id_source(suffix)
