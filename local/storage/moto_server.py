"""The process of the embedded DynamoDB and S3: moto.

Run as a module, on a listening socket that it inherits:

    python -m local.storage.moto_server FD,… HOST,… DATA MIN_LAG MAX_LAG MIN_DELAY MAX_DELAY

The sockets are named by their descriptors, this machine by its hosts. DATA is the folder of
`--data`, or empty. The lags are those of global secondary indexes, the delays those of DynamoDB's
writes, in seconds. The credentials of functions are in the environment. The process ends at the end
of its standard input, so that it does not outlive the runner.
"""

import asyncio
import io
import os
import random
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import uvicorn
from werkzeug.formparser import parse_form_data

from local.credentials import Credentials
from local.patches import moto_patches
from local.storage import s3_cors
from local.storage.access import Access
from local.storage.data_folder import DataFolder
from local.storage.index_lag import LaggingIndexes
from local.storage.persistence import Persistence
from local.storage.refusals import Refusal
from local.storage.role_check import Wsgi, with_role_check
from local.storage.s3_forms import is_form
from local.storage.s3_request import S3Request
from local.storage.s3_signatures import check_body
from local.storage.unknown_services import Answer, UnknownServices

type Scope = dict[str, Any]

_WRITES = {
    f"DynamoDB_20120810.{operation}"
    for operation in (
        "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems",
    )
}  # fmt: skip


# The page, not an error of AWS, for an operation whose path moto lacks.
_NO_SUCH_PATH = b"<!doctype html>\n<html lang=en>\n<title>40"


class MotoApplication:
    """An ASGI application that hands requests to moto, one after the other.

    DynamoDB's conditional writes are atomic, but moto checks the condition first and writes later.
    So moto runs in the event loop, where no other request comes in between.

    Args:
        access: Decides which requests reach moto.
        hosts: The names of this machine, in addition to the loopback ones.
        write_delay_s: Returns how long a write to DynamoDB takes, in seconds.

    """

    def __init__(
        self, access: Access, hosts: frozenset[str], write_delay_s: Callable[[], float]
    ) -> None:
        self._moto = moto_patches.Dispatcher()
        self._checked = with_role_check(self._moto)
        self._access = access
        self._hosts = hosts
        self._write_delay_s = write_delay_s
        self._persistence: Persistence | None = None
        self._unknown = UnknownServices()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request: a refusal at once, others after their whole body has arrived."""
        request = S3Request.from_scope(scope)
        try:
            self._access.check(request, peer=scope["client"][0], own_address=scope["server"][0])
            body = await _body(receive)
            if body is None:
                return
            answer = await self._answer_to(request, body)
        except Refusal as refusal:
            answer = refusal.as_s3() if request.service == "s3" else refusal.as_json()
        if request.service == "s3":
            answer = self._with_cors_headers(request, answer)
        status, headers, content = answer
        await send(
            {
                "type": "http.response.start",
                "status": int(status.split()[0]),
                "headers": [
                    (key.encode("latin-1"), value.encode("latin-1")) for key, value in headers
                ],
            }
        )
        await send({"type": "http.response.body", "body": content})

    async def _answer_to(self, request: S3Request, body: bytes) -> Answer:
        """Return moto's answer.

        Raises:
            Refusal: If S3 refuses the request.

        """
        if request.service == "s3":
            if request.method == "OPTIONS":
                return "200 OK", s3_cors.preflight_headers(self._cors_rules(request), request), b""
            check_body(request, body)
            if is_form(request) and request.header("authorization") is None:
                self._check_form(request, body)
        if request.header("x-amz-target") in _WRITES:
            await asyncio.sleep(self._write_delay_s())
        answer = self._answer(self._checked, request, body)
        if self._persistence and answer[0].startswith("2"):
            self._persistence.after(request, request.path_with_bucket(self._hosts), body)
        return answer

    def keep_in(self, folder: DataFolder) -> None:
        """Keep what is written from now on in a folder."""
        self._persistence = Persistence(folder, self.call)

    def call(self, request: S3Request, body: bytes) -> Answer:
        """Return moto's answer, without checking whether the request is allowed."""
        return self._answer(self._moto, request, body)

    def _check_form(self, request: S3Request, body: bytes) -> None:
        _, form, files = parse_form_data(_environ(request, self._hosts, body))
        fields = {name.lower(): value for name, value in form.items()}
        content = files["file"].read() if "file" in files else fields.pop("file", "").encode()
        self._access.check_form({**fields, "bucket": self._bucket(request)}, len(content))

    def _cors_rules(self, request: S3Request) -> list[s3_cors.CorsRule]:
        rules = moto_patches.cors_rules(self._bucket(request))
        return [s3_cors.CorsRule(**rule) for rule in rules]

    def _bucket(self, request: S3Request) -> str:
        path = unquote(request.path_with_bucket(self._hosts))
        return path.removeprefix("/").partition("/")[0]

    def _with_cors_headers(self, request: S3Request, answer: Answer) -> Answer:
        """Return an answer with the headers of the bucket's rules in place of moto's."""
        status, headers, content = answer
        if request.method == "OPTIONS":
            return answer
        own = [each for each in headers if not each[0].lower().startswith("access-control-")]
        return status, own + s3_cors.answer_headers(self._cors_rules(request), request), content

    def _answer(self, moto: Wsgi, request: S3Request, body: bytes) -> Answer:
        environ = _environ(request, self._hosts, body)
        start: list[Any] = []
        try:
            content = b"".join(moto(environ, lambda *args: start.extend(args)))
        except Exception as error:  # noqa: BLE001 -- moto lacks services, operations and libraries
            return self._unknown.answer(environ, error)
        if request.service != "s3" and content.startswith(_NO_SUCH_PATH):
            return self._unknown.answer(environ, NotImplementedError())
        self._unknown.after(environ, start[0])
        return start[0], start[1], content


async def _body(receive: Any) -> bytes | None:
    """Return the body of a request, or `None` if the client left."""
    chunks, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def _environ(request: S3Request, hosts: frozenset[str], body: bytes) -> dict[str, Any]:
    """Return the WSGI environment of a request; the bucket is in its path."""
    path = request.path_with_bucket(hosts)
    query = request.query_string
    environ = {
        "REQUEST_METHOD": request.method,
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
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_LENGTH", "TRANSFER_ENCODING"}:
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    if request.service == "s3":
        environ["HTTP_HOST"] = f"127.0.0.1:{os.environ['MOTO_PORT']}"
    return environ


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    moto_patches.roll_back_by_item()
    moto_patches.query_by_key()
    sockets = [socket.socket(fileno=int(descriptor)) for descriptor in sys.argv[1].split(",")]
    hosts = frozenset(filter(None, sys.argv[2].split(",")))
    data = sys.argv[3]
    min_lag, max_lag, *delay = map(float, sys.argv[4:])
    if max_lag:
        # After the patches, whose rollbacks must not reach the indexes.
        LaggingIndexes(lambda: random.uniform(min_lag, max_lag)).install()  # noqa: S311 -- no secret
    access = Access(Credentials.from_environment(os.environ), hosts)
    moto = MotoApplication(access, hosts, lambda: random.uniform(*delay))  # noqa: S311 -- no secret
    if data:
        moto.keep_in(DataFolder(Path(data)))
    config = uvicorn.Config(
        moto, http="httptools", ws="none", lifespan="off", log_config=None,
        access_log=False, log_level="error", timeout_keep_alive=600,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    main()
