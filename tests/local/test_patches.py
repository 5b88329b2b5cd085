"""The patches of other libraries, and the versions that they were checked against."""

import re
from collections.abc import Callable
from importlib import metadata

import pytest

from local.errors import LocalError
from local.patches import moto_patches, uvicorn_patches, versions
from local.patches.botocore_plugin import plugin_variables
from local.storage.embedded import embedded
from local.storage.index_lag import LaggingIndexes


def patched_uvicorn() -> None:
    uvicorn_patches.patched_config(
        None,
        max_message_bytes=1,
        max_frame_bytes=1,
        problem_of_size=lambda *_: None,
        report=print,
    )


async def _start_embedded() -> None:
    async with embedded():
        pass


def start_embedded() -> None:
    """Start the embedded DynamoDB and S3, up to the first await."""
    _start_embedded().send(None)


PATCHES: list[tuple[str, Callable[[], object]]] = [
    ("moto", moto_patches.roll_back_by_item),
    ("moto", moto_patches.query_by_key),
    ("moto", moto_patches.Dispatcher),
    ("moto", LaggingIndexes(lambda: 0).install),
    ("moto", start_embedded),
    ("uvicorn", patched_uvicorn),
    ("h11", patched_uvicorn),
    ("websockets", patched_uvicorn),
    ("botocore", plugin_variables),
]


@pytest.mark.parametrize(("library", "apply"), PATCHES)
def test_patch_refuses_a_version_that_was_not_checked(
    library: str, apply: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        return "999.1.2" if name == library else metadata.version(name)

    monkeypatch.setattr(versions, "version", version)
    checked = versions.CHECKED_VERSIONS[library]
    message = f"{library} 999.1.2 is installed, but local/patches was checked against {checked}:"
    with pytest.raises(LocalError, match=re.escape(message)) as error:
        apply()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("library", versions.CHECKED_VERSIONS)
def test_patch_release_of_a_checked_version_passes(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.require_checked_version(library)
    checked = versions.CHECKED_VERSIONS[library]
    monkeypatch.setattr(versions, "version", lambda _: f"{checked}.999")
    versions.require_checked_version(library)
