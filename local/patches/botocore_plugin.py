"""Make botocore load the plug-in that sends calls of `@connections` and of S3 to this machine.

The plug-in itself is in `local/lambdas/bootstrap.py`, which runs isolated in the process of a
function and can import nothing of `local`: botocore finds it there as `__main__`. A function whose
layer has another botocore than this Python runs with that one, unchecked.

Reason: handlers often build the endpoint from the event's domain name, which only AWS's DNS knows.
Botocore's environment variables for endpoints have no effect on clients with an explicit endpoint.
And handlers may ask for host names like `bucket.localhost`, for which botocore has no variable.
Upstream: https://github.com/boto/botocore/pull/3514, "subject to abrupt, breaking changes".
"""

from local.patches.versions import require_checked_version


def plugin_variables() -> dict[str, str]:
    """Return the environment variable that names the plug-in.

    Raises:
        LocalError: If botocore has a version that was not checked.

    """
    require_checked_version("botocore")
    return {"BOTOCORE_EXPERIMENTAL__PLUGINS": "local_gateway=__main__"}
