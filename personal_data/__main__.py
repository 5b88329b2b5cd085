"""``python -m personal_data``: hand out, erase and expire what users wrote."""

import argparse
import re
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from personal_data import erase, export, retention
from personal_data.deployment import DEFAULT_STACK, Deployment, open_deployment
from personal_data.errors import PersonalDataError
from personal_data.rate import Rate

# As in shared/chat/chats.py.
_USER_ID = re.compile(r"[A-Za-z0-9._@+=:|'~-]{1,128}")
_NAMES = {
    "messages_table": "the table of messages",
    "connections_table": "the table of connections",
    "bucket": "the bucket of the files",
    "websocket_url": "where clients connect, stage included",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        deployment = _deployment(parsed)
        status: int = parsed.run(parsed, deployment, Rate(parsed.rate))
    except PersonalDataError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    except (BotoCoreError, ClientError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: the same command again goes on.", file=sys.stderr)
        return 130
    return status


def _deployment(parsed: argparse.Namespace) -> Deployment:
    given = {name: getattr(parsed, name) for name in _NAMES}
    return open_deployment(parsed.stack, given, parsed.endpoint_url)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m personal_data", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = [_common()]
    _add_export(commands.add_parser("export", parents=common, help="all that is stored of a user"))
    _add_erase(commands.add_parser("erase", parents=common, help="erase what a user wrote"))
    _add_retention(
        commands.add_parser("retention", parents=common, help="apply MessageRetentionDays")
    )
    return parser


def _common() -> argparse.ArgumentParser:
    """Return the options that all commands have: which deployment, and how fast."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--rate",
        type=_positive,
        default=100,
        metavar="UNITS",
        help="units of DynamoDB's capacity to use a second (%(default)s)",
    )
    common.add_argument(
        "--stack",
        default=DEFAULT_STACK,
        help="the CloudFormation stack (%(default)s), in the region of the credentials",
    )
    common.add_argument("--endpoint-url", metavar="URL", help="an emulator of AWS in place of AWS")
    for name, meaning in _NAMES.items():
        option = "--" + name.replace("_", "-")
        common.add_argument(option, help=f"{meaning}, if the stack should not be asked")
    return common


def _add_export(parser: argparse.ArgumentParser) -> None:
    _add_user(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where the export goes"
    )
    parser.set_defaults(run=_export)


def _export(parsed: argparse.Namespace, deployment: Deployment, rate: Rate) -> int:
    return export.run(deployment, rate, parsed.user, parsed.out, scan=parsed.scan)


def _add_erase(parser: argparse.ArgumentParser) -> None:
    _add_user(parser)
    parser.add_argument(
        "--yes", action="store_true", help="erase; without it, only count what would be erased"
    )
    parser.set_defaults(run=_erase)


def _erase(parsed: argparse.Namespace, deployment: Deployment, rate: Rate) -> int:
    return erase.run(deployment, rate, parsed.user, scan=parsed.scan, acts=parsed.yes)


def _add_retention(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days",
        type=_whole_number,
        required=True,
        help="MessageRetentionDays as it is deployed; 0 is unlimited",
    )
    parser.add_argument("--yes", action="store_true", help="change rows, rather than count them")
    parser.set_defaults(run=_retention)


def _retention(parsed: argparse.Namespace, deployment: Deployment, rate: Rate) -> int:
    return retention.run(deployment, rate, parsed.days, acts=parsed.yes)


def _add_user(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands for one user: which, and whether the table may be scanned."""
    parser.add_argument("--user", type=_user_id, required=True, metavar="ID", help="the user's id")
    parser.add_argument(
        "--scan",
        action=argparse.BooleanOptionalAction,
        help="whether to read the whole table, to find chats in which nobody answered the user",
    )


def _user_id(text: str) -> str:
    if not _USER_ID.fullmatch(text):
        raise ValueError(text)
    return text


def _whole_number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
