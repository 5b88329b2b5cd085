"""The versions of other libraries whose internals the patches were checked against."""

from importlib.metadata import version

from local.errors import LocalError

# Major and minor. To raise one: read what the patches of that library say, look at the same places
# in the new version, and run tests/local and tests/conformance.
CHECKED_VERSIONS = {
    "botocore": "1.43",
    "h11": "0.16",
    "moto": "5.2",
    "uvicorn": "0.54",
    "websockets": "17.4",
}


def require_checked_version(*libraries: str) -> None:
    """Raise an error unless each library has the version that was checked.

    Raises:
        LocalError: If one has another major or minor version.

    """
    for library in libraries:
        installed, checked = version(library), CHECKED_VERSIONS[library]
        if installed.split(".")[:2] != checked.split("."):
            raise LocalError(
                f"{library} {installed} is installed, but local/patches was checked against"
                f" {checked}: install requirements-dev.txt, or see local/patches/versions.py"
            )
