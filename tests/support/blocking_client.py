"""A WebSocket with blocking calls, which is safe with TLS.

`websockets.sync` reads a socket in one thread and writes it in another. OpenSSL does not allow this
for one TLS session: one handshake in six hundred got no answer, because its request was lost while
the other thread read the session tickets that a server sends after the TLS handshake. Others lost
frames: https://github.com/miguelgrinberg/python-engineio/issues/461. Here one thread does both.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_connection


class BlockingClient:
    """An open connection, whose event loop runs in another thread."""

    def __init__(self, connection: ClientConnection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop

    def send(self, frame: str | bytes | list[str], *, text: bool | None = None) -> None:
        """Send a message, a list in fragments; bytes are binary unless `text` says otherwise."""
        _wait_for(self._connection.send(frame, text=text), self._loop)

    def recv(self, timeout_s: float) -> str | bytes:
        """Return the next frame.

        Raises:
            ConnectionClosed: The connection is closed.
            TimeoutError: No frame came in time.
        """
        return _wait_for(asyncio.wait_for(self._connection.recv(), timeout_s), self._loop)


@contextmanager
def connect(url: str, *, timeout_s: float) -> Iterator[BlockingClient]:
    """Open a connection, and close it when the block ends.

    Raises:
        InvalidHandshake: The handshake was refused.
        OSError: Nothing answers at the address.
        TimeoutError: The handshake took longer than `timeout_s`.
    """
    with _loop_in_a_thread() as loop:

        async def opened() -> ClientConnection:
            return await open_connection(url, open_timeout=timeout_s, compression=None)

        connection = _wait_for(opened(), loop)
        try:
            yield BlockingClient(connection, loop)
        finally:
            _wait_for(connection.close(), loop)


def _wait_for[Result](
    coroutine: Coroutine[Any, Any, Result], loop: asyncio.AbstractEventLoop
) -> Result:
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


@contextmanager
def _loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
