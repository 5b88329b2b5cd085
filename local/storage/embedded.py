"""Start the embedded DynamoDB and S3: moto, in a process that ends with this one."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from local.patches.versions import require_checked_version
from local.storage.role_check import ROLES_VARIABLE

_ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def embedded(
    index_lag: tuple[float, float] = (0, 0),
    write_delay: tuple[float, float] = (0, 0),
    roles: Path | None = None,
) -> AsyncIterator[str]:
    """Run moto; yield the URL of its endpoint, which accepts connections at once.

    Args:
        index_lag: The shortest and the longest lag of global secondary indexes, in seconds.
        write_delay: The shortest and the longest time that a write to DynamoDB takes, in seconds.
        roles: The file of the roles that limit the calls of functions; `None`: none does.

    Raises:
        LocalError: If moto has a version that the patches were not checked against.

    """
    require_checked_version("moto")  # here, since its process can print a traceback only
    role_check = {ROLES_VARIABLE: str(roles)} if roles else {}
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        # A process, not a thread: in a thread, moto would delay the gateway.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-s", "-m", "local.storage.moto_server",
            str(listener.fileno()), *map(str, index_lag + write_delay),
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "MOTO_PORT": str(port), **role_check},
            pass_fds=[listener.fileno()],
            process_group=0,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
