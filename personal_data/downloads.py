"""The files that exported messages refer to."""

import re
from pathlib import Path

from personal_data.deployment import Deployment

# Of a name on disk, in bytes. A file system takes 255; an unfinished download adds five to them.
_MAX_NAME_BYTES = 240
_MAX_SUFFIX_BYTES = 20
# What some file system does not take, or some program mistakes for something else.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_CHUNK_BYTES = 1 << 20


class Downloads:
    """A folder with copies of files."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self._s3 = deployment.s3
        self._bucket = deployment.names.bucket
        self._folder = folder

    def save(self, key: str) -> str | None:
        """Copy a file, unless that is done; return its name in the folder, none if it is gone."""
        name = name_on_disk(key)
        if (self._folder / name).exists():
            return name
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        except self._s3.exceptions.NoSuchKey:
            return None
        unfinished = self._folder / f"{name}.part"
        with unfinished.open("wb") as file:
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                file.write(chunk)
        unfinished.replace(self._folder / name)
        return name

    def remove_others(self, names: set[str]) -> None:
        """Remove what is not one of these: downloads that were interrupted."""
        for path in self._folder.iterdir():
            if path.name not in names:
                path.unlink()

    def total_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(path.stat().st_size for path in self._folder.iterdir())


def name_on_disk(key: str) -> str:
    """Return the name under which a file is saved: unique, safe and at most 240 bytes long.

    A key is `<chatId>/<uuid of the upload>/<name>`. If the name is too long, its end stays, which
    says what kind of file it is.
    """
    _, upload, name = key.split("/", 2)
    name = _UNSAFE.sub("_", f"{upload}-{name}")
    if len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    end = name.encode()[-_MAX_SUFFIX_BYTES:].decode(errors="ignore")
    start = name.encode()[: _MAX_NAME_BYTES - _MAX_SUFFIX_BYTES].decode(errors="ignore")
    return start + end
