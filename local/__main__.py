"""`python -m local`: run a SAM template's WebSocket API on this machine."""

import argparse
import asyncio
import math
import os
import re
import sys
import tempfile
from pathlib import Path

from local.credentials import EMBEDDED, Credentials
from local.errors import LocalError
from local.gateway.limits import Lifetimes
from local.listening import LOOPBACK_ADDRESS, listening
from local.runner import Options, load_stack, run
from local.server.hosts import LOOPBACK
from local.template.parameters import parse_overrides

# What browsers send in `Origin`; `null` is that of a local file.
_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/\s]+")


def main(arguments: list[str] | None = None) -> int:
    """Run until Ctrl-C; return the exit status."""
    credentials = Credentials.from_environment(os.environ)
    _forget_aws_settings()
    try:
        parsed = _parser().parse_args(arguments)
        options = _options(parsed, credentials)
        if parsed.lint:
            return _lint(options)
        with listening(options.host, options.port) as listeners:
            asyncio.run(run(options, listeners))
    except LocalError as error:
        for line in str(error).splitlines():
            print(f"Error: {line}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:  # before the loop took over
        return 0
    return 0


def _forget_aws_settings() -> None:
    """Keep the developer's AWS profile, region and proxy away from the embedded AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")


def _lint(options: Options) -> int:
    """Print the mistakes in the template; return the exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        stack = load_stack(options, Path(scratch))
    for warning in stack.warnings:
        print(f"{options.template}: {warning}")
    return 1 if stack.warnings else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Run a SAM or CloudFormation template's WebSocket API on this machine.",
    )
    add = parser.add_argument
    add(
        "--template",
        type=Path,
        default=Path("template-python.yaml"),
        help="the template to run (%(default)s)",
    )
    add(
        "--host",
        default=LOOPBACK_ADDRESS,
        help="the address or name of this machine to listen on, in addition to localhost"
        " (%(default)s); 0.0.0.0 lets phones, containers and other machines connect",
    )
    add("--port", type=int, default=3001, help="where to listen (%(default)s); 0 takes a free port")
    add(
        "--aws-port",
        type=int,
        default=0,
        metavar="PORT",
        help="where the embedded DynamoDB and S3 listen (%(default)s: a free port); links to files"
        " have it",
    )
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a web page of another origin that may connect, like http://localhost:5173; may be"
        " given several times",
    )
    add(
        "--parameter-overrides",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="values for the template's parameters",
    )
    add("--region", default="us-east-1", help="the AWS region to pretend to be in (%(default)s)")
    add("--api", metavar="LOGICAL_ID", help="which API, if the template has several")
    add(
        "--aws-endpoint",
        metavar="URL",
        help="a DynamoDB and S3 to use in place of the embedded moto; calls are signed with"
        " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or with `test`",
    )
    add(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="keeps the tables and files of the embedded DynamoDB and S3 between runs (without it,"
        " every start is empty)",
    )
    add(
        "--index-lag",
        default="0.1,0.3",
        metavar="SECONDS[,SECONDS]",
        help="how long writes take to reach the embedded DynamoDB's global secondary indexes: one"
        " number, or two for a random time between them (%(default)s); 0 for no lag;"
        " no effect with --aws-endpoint",
    )
    add(
        "--write-delay",
        default="0",
        metavar="SECONDS[,SECONDS]",
        help="how long each write to the embedded DynamoDB takes, likewise (%(default)s)",
    )
    add(
        "--idle-timeout",
        type=float,
        default=600,
        metavar="SECONDS",
        help="closes a silent client (%(default)g)",
    )
    add(
        "--max-duration",
        type=float,
        default=7200,
        metavar="SECONDS",
        help="closes any client (%(default)g)",
    )
    add(
        "--retry-delays",
        default="60,120",
        metavar="SECONDS,SECONDS",
        help="before the retries of failed asynchronous invocations (%(default)s)",
    )
    add(
        "--page",
        type=Path,
        metavar="FOLDER",
        help="the page to serve at / (none)",
    )
    add(
        "--query",
        action="append",
        default=[],
        metavar="?KEY=VALUE",
        help="print a wscat command with this query string; may be given several times",
    )
    add(
        "--no-iam",
        action="store_true",
        help="let functions call what their roles do not allow; so it is with --aws-endpoint too",
    )
    add("--no-reload", action="store_true", help="do not watch for edits")
    add("--lint", action="store_true", help="only look for mistakes; exit 1 if there are any")
    return parser


def _options(arguments: argparse.Namespace, credentials: Credentials) -> Options:
    try:
        retry_delays = [float(delay) for delay in arguments.retry_delays.split(",") if delay]
    except ValueError:
        raise LocalError("--retry-delays takes numbers of seconds, like 60,120") from None
    if arguments.page and not arguments.page.is_dir():
        raise LocalError(f"there is no folder {arguments.page}: --page takes one")
    if arguments.data and arguments.aws_endpoint:
        raise LocalError("--data is for the embedded DynamoDB and S3, and not for --aws-endpoint")
    return Options(
        template=arguments.template,
        host=arguments.host,
        port=arguments.port,
        aws_port=arguments.aws_port,
        origins=_parse_origins(arguments.allow_origin),
        overrides=parse_overrides(arguments.parameter_overrides),
        region=arguments.region,
        api=arguments.api,
        aws_endpoint=arguments.aws_endpoint,
        data=arguments.data and arguments.data.resolve(),
        credentials=credentials
        if arguments.aws_endpoint
        else _embedded_credentials(arguments.host),
        index_lag=_parse_range("--index-lag", arguments.index_lag),
        write_delay=_parse_range("--write-delay", arguments.write_delay),
        lifetimes=Lifetimes(arguments.idle_timeout, arguments.max_duration),
        retry_delays=retry_delays,
        page=arguments.page,
        queries=arguments.query,
        reload=not arguments.no_reload,
        iam=not arguments.no_iam,
    )


def _parse_origins(origins: list[str]) -> frozenset[str]:
    for origin in origins:
        if not _ORIGIN.fullmatch(origin.lower()):
            raise LocalError(
                "--allow-origin takes an origin without a path, like http://localhost:5173"
            )
    return frozenset(origin.lower() for origin in origins)


def _embedded_credentials(host: str) -> Credentials:
    """Return the credentials for the embedded AWS, whose secret other machines must not know."""
    return EMBEDDED if host in LOOPBACK else EMBEDDED.with_new_secret()


def _parse_range(option: str, text: str) -> tuple[float, float]:
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    # Written so that NaN fails too.
    if len(numbers) not in {1, 2} or not 0 <= numbers[0] <= numbers[-1] < math.inf:
        raise LocalError(
            f"{option} takes a number of seconds, or two with the smaller first, like 0.1,0.3"
        )
    return numbers[0], numbers[-1]


if __name__ == "__main__":
    sys.exit(main())
