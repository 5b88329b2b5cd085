"""The embedded DynamoDB and S3: starts moto in a process that ends with this one."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def embedded(
    index_lag: tuple[float, float] = (0, 0), write_delay: tuple[float, float] = (0, 0)
) -> AsyncIterator[str]:
    """Run moto; yield the URL of its endpoint, which takes connections at once.

    Args:
        index_lag: The shortest and the longest lag of global secondary indexes, in seconds.
        write_delay: The shortest and the longest time that a write to DynamoDB takes, in seconds.

    """
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        # A process of its own, not a thread: moto would take the gateway's turns otherwise.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-s", "-m", "local.storage.moto_server",
            str(listener.fileno()), *map(str, index_lag + write_delay),
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "MOTO_PORT": str(port)},
            pass_fds=[listener.fileno()],
            process_group=0,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
