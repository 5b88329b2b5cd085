"""The process of the embedded DynamoDB and S3: moto.

Run as a module, on a listening socket that it inherits:

    python -m local.storage.moto_server FD MIN_LAG MAX_LAG MIN_DELAY MAX_DELAY

The lags are those of global secondary indexes, the delays those of DynamoDB's writes, in seconds.
The process ends at the end of its standard input, so that it does not outlive the runner.
"""

import asyncio
import io
import os
import random
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import uvicorn

from local.patches import moto_patches
from local.storage.index_lag import LaggingIndexes
from local.storage.role_check import with_role_check
from local.storage.unknown_services import Answer, not_imitated

type Scope = dict[str, Any]

_WRITES = {
    f"DynamoDB_20120810.{operation}".encode()
    for operation in (
        "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems",
    )
}  # fmt: skip


class MotoApplication:
    """An ASGI application that hands requests to moto, one after the other.

    DynamoDB's conditional writes are atomic, but moto checks the condition first and writes later.
    So moto runs in the event loop, where no other request comes in between.

    Args:
        write_delay_s: Returns how long a write to DynamoDB takes, in seconds.

    """

    def __init__(self, write_delay_s: Callable[[], float]) -> None:
        self._moto = with_role_check(moto_patches.Dispatcher())
        self._write_delay_s = write_delay_s
        self._named: set[str] = set()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request, after its whole body has arrived."""
        chunks, more = [], True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        if dict(scope["headers"]).get(b"x-amz-target") in _WRITES:
            await asyncio.sleep(self._write_delay_s())
        status, headers, body = self._answer(_environ(scope, b"".join(chunks)))
        await send(
            {
                "type": "http.response.start",
                "status": int(status.split()[0]),
                "headers": [
                    (key.encode("latin-1"), value.encode("latin-1")) for key, value in headers
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})

    def _answer(self, environ: dict[str, Any]) -> Answer:
        start: list[Any] = []
        try:
            body = b"".join(self._moto(environ, lambda *args: start.extend(args)))
        except Exception as error:  # noqa: BLE001 -- moto lacks services, operations and libraries
            return not_imitated(environ, error, self._named)
        return start[0], start[1], body


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the WSGI environment of an ASGI request."""
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": f"{path}?{query}" if query else path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": os.environ["MOTO_PORT"],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in {"CONTENT_LENGTH", "TRANSFER_ENCODING"}:
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value.decode("latin-1")
    return environ


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    moto_patches.roll_back_by_item()
    moto_patches.query_by_key()
    descriptor = int(sys.argv[1])
    min_lag, max_lag, *delay = map(float, sys.argv[2:])
    if max_lag:
        # After the patches, whose rollbacks must not reach the indexes.
        LaggingIndexes(lambda: random.uniform(min_lag, max_lag)).install()  # noqa: S311 -- no secret
    moto = MotoApplication(lambda: random.uniform(*delay))  # noqa: S311 -- no secret
    config = uvicorn.Config(
        moto, http="httptools", ws="none", lifespan="off", log_config=None,
        access_log=False, log_level="error", timeout_keep_alive=600,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
