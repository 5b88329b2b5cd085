"""The Lambda runtime, inside a worker process: it loads a handler, and runs it event by event.

This script imports only the standard library: it runs isolated, with what Lambda has and without
the rest of `local`. It reads invocations as lines of JSON from standard input, and writes results
as lines of JSON to a separate file descriptor. Standard output and error are the function's log.

    python -I -u bootstrap.py RESULT_FD PATH...

The process ends at the end of standard input, even while the handler runs. So no worker outlives
the runner, even if the runner was killed. A stopped process reads nothing; see `_end_with_runner`.

`initialize_client_plugin` depends on an experimental part of botocore: `local/patches` says more.
"""

import importlib
import json
import logging
import os
import queue
import re
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit

# A response may have 6 MB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_RESPONSE_BYTES = 6 * 1024 * 1024

_API_HOST = re.compile(r"\.execute-api\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$")

type Handler = Callable[[Any, "Context"], Any]


@dataclass(frozen=True)
class Identity:
    """The Cognito identity of a mobile client, which is always empty here."""

    cognito_identity_id: None = None
    cognito_identity_pool_id: None = None


class Context:
    """The context of an invocation, for the handler.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.aws_request_id: str = request["requestId"]
        self.invoked_function_arn: str = request["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = Identity()
        self.client_context: Any = request.get("clientContext")
        self._deadline: float = request["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function times out."""
        return max(0, int((self._deadline - time.time()) * 1000))


class _LogHandler(logging.Handler):
    """Writes log records as Lambda's runtime does, in the function's log format.

    https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """

    request_id = ""

    def emit(self, record: logging.LogRecord) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        message = self.format(record)
        if os.environ["AWS_LAMBDA_LOG_FORMAT"] == "JSON":
            line = {
                "timestamp": f"{stamp}Z",
                "level": record.levelname,
                "message": message,
                "logger": record.name,
                "requestId": self.request_id,
            }
            print(json.dumps(line))
        else:
            milliseconds = f"{int(record.msecs):03d}"
            print(f"[{record.levelname}]\t{stamp}.{milliseconds}Z\t{self.request_id}\t{message}")


def load_handler(name: str) -> Handler:
    """Import the handler's module and return the handler.

    Raises:
        LookupError: If the module has no such function.

    """
    module_name, _, attribute = name.rpartition(".")
    module = importlib.import_module(module_name.replace("/", "."))
    handler = getattr(module, attribute, None)
    if handler is None:
        raise LookupError(f"Handler '{attribute}' missing on module '{module_name}'")
    return handler  # type: ignore[no-any-return]  # any attribute of the user's module


def describe(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """Describe an error as Lambda does to the caller of a function.

    https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
    """
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": [line for line in traceback.format_list(frames) if __file__ not in line],
    }


def initialize_client_plugin(client: Any) -> None:
    """Redirect a client's requests to the API's host name to the gateway on this machine.

    Handlers often build the endpoint from the event's domain name, which only AWS's DNS knows, or
    contain the host name of a deployed API: a local run must not reach that. As little does DNS
    know `bucket.localhost`, so S3's URLs have the bucket in their path, whatever the client's
    configuration says.

    Botocore calls this function for each client: `local/patches/botocore_plugin.py`.
    """
    domain, gateway = os.environ["LOCAL_GATEWAY"].split(" ")
    others: set[str] = set()

    def redirect(request: Any, **_: object) -> None:
        url = urlsplit(request.url)
        host = url.hostname or ""
        if host == domain or _API_HOST.search(host):
            if host not in {domain, *others}:
                others.add(host)
                print(f"Warning: the code names {host}, another API: this one gets the calls")
            request.url = urlunsplit(("http", gateway, url.path, url.query, ""))
            request.headers["Host"] = gateway

    def put_bucket_in_path(builtins: dict[str, Any], **_: object) -> None:
        builtins["AWS::S3::ForcePathStyle"] = True

    client.meta.events.register("before-send.apigatewaymanagementapi", redirect)
    client.meta.events.register("before-endpoint-resolution.s3", put_bucket_in_path)


def _requests() -> "queue.SimpleQueue[dict[str, Any]]":
    """Return a queue of requests, which a thread reads: it sees the end of input at any time."""
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    # The handler and the processes that it starts get an empty standard input instead.
    lines = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())

    def read() -> None:
        for line in lines:
            requests.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return requests


def _invoke(handler: Handler, request: dict[str, Any]) -> dict[str, Any]:
    context = Context(request)
    try:
        result = handler(request["event"], context)
        text = json.dumps(result, default=_encode)
    except Exception as error:  # noqa: BLE001 -- any error of a handler is its result
        description = describe(error, context.aws_request_id)
        _log_error(description)
        return {"error": description}
    if len(text) > MAX_RESPONSE_BYTES:
        message = (
            f"Response payload size exceeded maximum allowed payload size ({len(text)} bytes)."
        )
        return {"error": {"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"}}
    return {"result": result if result is None else json.loads(text)}


def _encode(value: object) -> float:
    # The only type that the runtime converts and JSON does not have.
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _log_error(description: dict[str, Any]) -> None:
    print(f"[ERROR] {description['errorType']}: {description['errorMessage']}")
    if description.get("stackTrace"):
        print("Traceback (most recent call last):")
        print("".join(description["stackTrace"]), end="")


def _end_with_runner() -> None:
    """Make Linux kill this process when the runner ends, even if this process is stopped.

    The kernel continues the stopped processes of a runner that ended, but not if their new parent
    is in the runner's session: in a container, a shell with process id 1.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 -- only Linux needs it

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def main() -> None:
    """Load the handler, report that, and run it for each request."""
    _end_with_runner()
    os.set_inheritable(int(sys.argv[1]), False)
    results = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    sys.path[:0] = sys.argv[2:]
    requests = _requests()
    scripts = ["unreachable", *(["issuers"] if "LOCAL_ISSUERS" in os.environ else [])]
    for name in scripts:
        runpy.run_path(__file__.replace("bootstrap.py", f"{name}.py"))["install"]()
    logs = _LogHandler()
    logging.getLogger().addHandler(logs)
    # Botocore logs where it found endpoints and credentials, which are always the same here.
    for name in ("botocore.configprovider", "botocore.credentials"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if os.environ["AWS_LAMBDA_LOG_FORMAT"] == "JSON":
        logging.getLogger().setLevel(os.environ["AWS_LAMBDA_LOG_LEVEL"])
    try:
        handler = load_handler(os.environ["_HANDLER"])
    except BaseException as error:  # noqa: BLE001 -- a module may raise anything, SystemExit too
        results.write(json.dumps({"initError": describe(error)}) + "\n")
        return
    results.write("{}\n")
    while True:
        request = requests.get()
        logs.request_id = request["requestId"]
        result = _invoke(handler, request)
        sys.stdout.flush()
        results.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
