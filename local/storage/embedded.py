"""Start the embedded DynamoDB and S3: moto, in a process that ends with this one."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from local.credentials import EMBEDDED, Credentials
from local.listening import LOOPBACK_ADDRESS, allowed_hosts, listening
from local.patches.versions import require_checked_version
from local.storage.role_check import ROLES_VARIABLE

_ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def embedded(
    index_lag: tuple[float, float] = (0, 0),
    write_delay: tuple[float, float] = (0, 0),
    *,
    host: str = LOOPBACK_ADDRESS,
    port: int = 0,
    credentials: Credentials = EMBEDDED,
    data: Path | None = None,
    roles: Path | None = None,
) -> AsyncIterator[str]:
    """Run moto; yield the URL of its endpoint, which accepts connections at once.

    Args:
        index_lag: The shortest and the longest lag of global secondary indexes, in seconds.
        write_delay: The shortest and the longest time that a write to DynamoDB takes, in seconds.
        host: Where clients of S3 reach this machine, as `listening` takes it. The yielded URL has
            127.0.0.1, which always works.
        port: Where to listen; 0 takes a free port.
        credentials: The credentials of functions.
        data: The absolute path of a folder that `data_folder.locked` has prepared, to keep
            everything there.
        roles: The file of the roles that limit the calls of functions; `None`: none does.

    Raises:
        LocalError: If moto has a version that the patches were not checked against, or if the port
            is in use or not allowed.

    """
    require_checked_version("moto")  # here, since its process can print a traceback only
    role_check = {ROLES_VARIABLE: str(roles)} if roles else {}
    with listening(host, port, option="--aws-port") as listeners:
        port = listeners[0].getsockname()[1]
        descriptors = [listener.fileno() for listener in listeners]
        # A process, not a thread: in a thread, moto would delay the gateway.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-s", "-m", "local.storage.moto_server",
            ",".join(map(str, descriptors)), ",".join(allowed_hosts(host)),
            str(data or ""), *map(str, index_lag + write_delay),
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "MOTO_PORT": str(port),
                **credentials.variables(),
                **role_check,
            },
            pass_fds=descriptors,
            process_group=0,
        )  # fmt: skip
    try:
        yield f"http://{LOOPBACK_ADDRESS}:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
