"""The server: uvicorn with the application behind the guard."""

from collections.abc import Callable

from starlette.types import ASGIApp

from local.gateway.limits import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, problem_of_size
from local.patches.uvicorn_patches import Server, patched_config
from local.server.web_pages import Allowed, WebPageGuard


def make_server(application: ASGIApp, allowed: Allowed, report: Callable[[str], None]) -> Server:
    """Return a server of the application, which is not started yet.

    Args:
        application: The application.
        allowed: The hosts and the origins whose requests it takes.
        report: Called with a line for each request that it refuses.

    Raises:
        LocalError: If a library has a version that the runner was not checked against.

    """
    config = patched_config(
        WebPageGuard(application, allowed, report),
        max_message_bytes=MAX_MESSAGE_BYTES,
        max_frame_bytes=MAX_FRAME_BYTES,
        problem_of_size=problem_of_size,
        report=report,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # AWS sends no pings
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
    return Server(config)
