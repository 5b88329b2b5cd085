"""Uvicorn as the runner needs it: API Gateway's limits and header names, and no signal handlers."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import HeaderLineTooLong, TooManyHeaders
from websockets.http11 import Request

from local.patches.versions import require_checked_version

type ProblemOfSize = Callable[[str, int, int], tuple[HTTPStatus, str] | None]
type Report = Callable[[str], None]

_HEADERS_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
_NO_HANDSHAKE = "it is not a valid handshake of WebSocket"
_TLS_HANDSHAKE = b"\x16\x03"
# For a client that does not close the connection after a refusal.
_CLOSE_TIMEOUT_S = 2


class _Config(uvicorn.Config):
    """A configuration of uvicorn, with what the protocols below need."""

    problem_of_size: ProblemOfSize
    report: Report


def patched_config(
    application: Any,
    *,
    max_message_bytes: int,
    max_frame_bytes: int,
    problem_of_size: ProblemOfSize,
    report: Report,
    **options: Any,
) -> uvicorn.Config:
    """Return a configuration of uvicorn, with the patches of this module.

    Args:
        application: The ASGI application.
        max_message_bytes: The largest WebSocket message; a larger one closes with 1009.
        max_frame_bytes: The largest frame of a message, likewise.
        problem_of_size: Returns the status and the reason to refuse a handshake, given its URL, and
            the bytes of its request line and of its headers' values.
        report: Called with a line for each request that is refused here.
        options: Other options of `uvicorn.Config`.

    Raises:
        LocalError: If a library has a version that was not checked.

    """
    require_checked_version("uvicorn", "h11", "websockets")
    config = _Config(
        application,
        http=_HttpProtocol,
        ws=_WebSocketProtocol,
        # Reason: uvicorn has one limit, for messages, and API Gateway has another for frames.
        # Uvicorn passes the value to websockets as it is, and that takes both:
        # https://websockets.readthedocs.io/en/stable/reference/sansio/server.html
        ws_max_size=cast("int", (max_message_bytes, max_frame_bytes)),
        **options,
    )
    config.problem_of_size = problem_of_size
    config.report = report
    return config


class Server(uvicorn.Server):
    """A server that installs no signal handlers.

    Reason: the runner has its own, and uvicorn has no option for it:
    https://github.com/Kludex/uvicorn/issues/526.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the runner."""
        yield


class _HttpProtocol(H11Protocol):
    """HTTP that passes on the headers of a handshake with their names as the client wrote them.

    Reason: AWS does, and ASGI wants lower case:
    https://asgi.readthedocs.io/en/latest/specs/www.html#websocket-connection-scope.

    It also refuses what is too large with the right status, and reports each refusal. Reason:
    uvicorn answers 400, in place of the status that h11 proposes, and logs no reason.
    """

    _is_refused = False

    def data_received(self, data: bytes) -> None:
        if not self._is_refused:
            super().data_received(data)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self.headers = list(event.headers.raw_items())
        host = next((value for name, value in event.headers if name == b"host"), b"")
        problem = cast("_Config", self.config).problem_of_size(
            f"ws://{host.decode('latin-1')}{event.target.decode('ascii')}",
            len(event.method) + len(event.target) + len(b"  HTTP/1.1"),
            sum(len(value) for _, value in self.headers),
        )
        if problem is None:
            super().handle_websocket_upgrade(event)
        else:
            self._refuse(*problem)

    def send_400_response(self, msg: str) -> None:
        cycle: Any = self.cycle  # `None` before the first request
        if cycle is not None and not cycle.response_complete:
            super().send_400_response(msg)
            return
        # Uvicorn calls this while it handles h11's exception. The exception's text is not for the
        # terminal: it holds what the client sent.
        hint = getattr(sys.exception(), "error_status_hint", HTTPStatus.BAD_REQUEST)
        received, _ = self.conn.trailing_data
        if received.startswith(_TLS_HANDSHAKE):
            self._refuse(HTTPStatus.BAD_REQUEST, "it is TLS: connect to ws:// or http://")
        elif hint != _HEADERS_TOO_LARGE:
            self._refuse(HTTPStatus(hint), "it is not valid HTTP")
        elif b"\n" in received:
            self._refuse(HTTPStatus(hint), "its headers are too large: are there large cookies?")
        else:
            self._refuse(HTTPStatus.URI_TOO_LONG, "its URL is too long")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._is_refused = True
        # It is no connection any more that uvicorn would close at the end.
        self.connections.discard(self)
        _refuse(self, status, reason)


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket that counts a refused handshake as complete.

    Reason: uvicorn logs an error for each refusal otherwise:
    https://github.com/Kludex/uvicorn/pull/3138.

    It also answers a handshake that the websockets library refuses to parse. Reason: uvicorn sends
    nothing then, and waits: a line over 8,192 bytes, more than 128 headers, another method than
    GET. And it closes with 1007 for a text that is not UTF-8 without logging a traceback.
    """

    _is_refused = False

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        error = self.conn.handshake_exc
        if error is None:
            return
        if isinstance(error, HeaderLineTooLong):
            self._refuse(
                _HEADERS_TOO_LARGE, "a header has over 8,192 bytes: are there large cookies?"
            )
        elif isinstance(error, TooManyHeaders):
            self._refuse(_HEADERS_TOO_LARGE, "it has over 128 headers")
        elif not self.handshake_initiated:
            self._refuse(HTTPStatus.BAD_REQUEST, _NO_HANDSHAKE)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            cast("_Config", self.config).report(
                f"request refused with {self.response.status_code}: {_NO_HANDSHAKE}"
            )

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.fail(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._is_refused = self.close_sent = True
        _refuse(self, status, reason)


def _refuse(protocol: H11Protocol | _WebSocketProtocol, status: HTTPStatus, reason: str) -> None:
    """Send a response, and report the reason.

    The client closes the connection. What it still sends would reset a closed one, and the response
    would be lost.
    """
    cast("_Config", protocol.config).report(f"request refused with {status.value}: {reason}")
    body = json.dumps({"message": status.phrase}).encode()
    protocol.transport.write(
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    protocol.transport.write_eof()
    protocol.loop.call_later(_CLOSE_TIMEOUT_S, protocol.transport.close)
