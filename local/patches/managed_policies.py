"""Read the managed policies of AWS from moto's copy of them.

Reason: a template names such a policy, and the local runner has to know what it allows.
Upstream: https://github.com/getmoto/moto/blob/5.2.5/moto/iam/aws_managed_policies.py
"""

import json
from typing import Any

from local.patches.versions import require_checked_version


def managed_policy(name: str) -> Any:
    """Return the document of a managed policy, or `None` if AWS has none of this name.

    Raises:
        LocalError: If moto has a version that was not checked.

    """
    require_checked_version("moto")
    # Five megabytes of text: only for templates that name such a policy.
    from moto.iam.aws_managed_policies import aws_managed_policies_data  # noqa: PLC0415 -- see above

    policy = json.loads(aws_managed_policies_data).get(name)
    return policy["Document"] if policy else None
