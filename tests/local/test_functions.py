"""Lambda's worker processes, with small handlers."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from local.invocation_result import InvocationResult
from local.lambdas.functions import Endpoints, Functions
from local.lambdas.pool import MAX_PROCESSES
from local.template.model import Function

HANDLERS = """
import json, logging, os, subprocess, sys, time
from decimal import Decimal
count = 0
def handler(event, context):
    global count
    count += 1
    if "sleep" in event: time.sleep(event["sleep"])
    if "raise" in event: raise KeyError(event["raise"])
    if "exit" in event: os._exit(event["exit"])
    if "kill" in event: os.kill(os.getpid(), 9)
    if "spawn" in event: subprocess.Popen(["sleep", "60"])
    if "log" in event: print(event["log"])
    if "warn" in event: logging.getLogger("chat").warning(event["warn"])
    if "large" in event: return "x" * event["large"]
    if "decimal" in event: return {"n": Decimal("1.5")}
    if "object" in event: return object()
    return {"pid": os.getpid(), "count": count}
def report(event, context):
    return {
        "path": sys.path, "cwd": os.getcwd(), "env": dict(os.environ), "stdin": sys.stdin.read(),
        "remaining": context.get_remaining_time_in_millis(),
        "context": {k: v for k, v in vars(context).items() if isinstance(v, str)},
        "client": context.client_context,
    }
"""

ENDPOINTS = Endpoints(
    "http://127.0.0.1:1", "http://127.0.0.1:1", "127.0.0.1:2", "prod", "a.execute-api.example"
)

type Make = Callable[..., Function]


class Log(list[tuple[str, str]]):
    """The lines that functions wrote."""

    def __call__(self, function: str, line: str) -> None:
        self.append((function, line))

    async def line_with(self, text: str) -> str:
        async with asyncio.timeout(20):
            while True:
                for _, line in self:
                    if text in line:
                        return line
                await asyncio.sleep(0.01)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def functions(log: Log) -> AsyncIterator[Functions]:
    functions = Functions(log)
    yield functions
    await functions.close()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def function(code: str = HANDLERS, **more: Any) -> Function:
        folder = tmp_path / "code"
        folder.mkdir(exist_ok=True)
        (folder / "app.py").write_text(code)
        settings: dict[str, Any] = {"name": "f", "handler": "app.handler", "timeout_s": 20, **more}
        return Function(arn="arn:f", code=folder, **settings)

    return function


async def start(functions: Functions, *wanted: Function) -> dict[str, InvocationResult]:
    return await functions.use(wanted, ENDPOINTS, "us-east-1")


async def test_process_keeps_its_memory_between_invocations(
    functions: Functions, make: Make
) -> None:
    await start(functions, make())
    first = (await functions.invoke("f", {})).payload
    second = (await functions.invoke("f", {})).payload
    assert first["pid"] == second["pid"]
    assert (first["count"], second["count"]) == (1, 2)


async def test_concurrent_invocations_run_in_different_processes(
    functions: Functions, make: Make
) -> None:
    await start(functions, make())
    outcomes = await asyncio.gather(*(functions.invoke("f", {"sleep": 0.5}) for _ in range(3)))
    assert len({outcome.payload["pid"] for outcome in outcomes}) > 1


async def test_invocations_over_the_process_limit_wait_and_succeed(
    functions: Functions, make: Make
) -> None:
    await start(functions, make())
    outcomes = await asyncio.gather(*(functions.invoke("f", {}) for _ in range(50)))
    assert sum(outcome.is_error for outcome in outcomes) == 0
    assert len({outcome.payload["pid"] for outcome in outcomes}) <= MAX_PROCESSES


async def test_function_has_the_environment_of_the_template_and_of_lambda(
    functions: Functions, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_CALLER", "1")
    function = make(handler="app.report", environment=(("TABLE", "t"), ("AWS_REGION", "mars")))
    await start(functions, function)
    outcome = await functions.invoke("f", {}, request_id="r", client_context={"custom": 1})
    report = outcome.payload
    env = report["env"]
    assert "OF_THE_CALLER" not in env
    assert "HOME" not in env
    assert env["TABLE"] == "t"
    assert env["AWS_REGION"] == "us-east-1"  # reserved: the function cannot set it
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert env["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"] == "http://127.0.0.1:2/prod"
    assert report["context"]["aws_request_id"] == "r"
    assert report["context"]["function_name"] == "f"
    assert report["context"]["invoked_function_arn"] == "arn:f"
    assert report["client"] == {"custom": 1}
    assert 0 < report["remaining"] <= 20_000
    assert report["stdin"] == ""


@pytest.mark.parametrize(("log_format", "level"), [("Text", None), ("JSON", "WARN")])
async def test_function_has_a_log_level_only_with_the_log_format_json(
    functions: Functions, make: Make, log_format: str, level: str | None
) -> None:
    await start(functions, make(handler="app.report", log_format=log_format, log_level="WARN"))
    env = (await functions.invoke("f", {})).payload["env"]
    assert env.get("AWS_LAMBDA_LOG_LEVEL") == level


async def test_function_imports_its_code_and_layers_first_and_nothing_of_this_repository(
    functions: Functions, make: Make, tmp_path: Path
) -> None:
    layer = tmp_path / "layer"
    await start(functions, make(handler="app.report", layers=(layer,)))
    report = (await functions.invoke("f", {})).payload
    assert report["path"][:2] == [str(tmp_path / "code"), str(layer)]
    assert report["cwd"] == str(tmp_path / "code")
    assert str(Path(__file__).parents[2]) not in report["path"]


async def test_exception_is_returned_to_the_caller_and_logged(
    functions: Functions, make: Make, log: Log
) -> None:
    await start(functions, make())
    outcome = await functions.invoke("f", {"raise": "x"}, request_id="r")
    assert outcome.is_error
    assert outcome.payload["errorType"] == "KeyError"
    assert outcome.payload["errorMessage"] == "'x'"
    assert outcome.payload["requestId"] == "r"
    assert "in handler" in outcome.payload["stackTrace"][0]
    await log.line_with("[ERROR] KeyError: 'x'")


@pytest.mark.parametrize(
    ("event", "reason"),
    [({"exit": 3}, "exit status 3"), ({"kill": True}, "signal: SIGKILL")],
    ids=["exit", "kill"],
)
async def test_crashed_process_fails_only_its_invocation(
    functions: Functions, make: Make, event: dict[str, Any], reason: str
) -> None:
    await start(functions, make())
    other = asyncio.create_task(functions.invoke("f", {"sleep": 1}))
    await asyncio.sleep(0)
    outcome = await functions.invoke("f", event)
    assert outcome.payload["errorType"] == "Runtime.ExitError"
    assert outcome.payload["errorMessage"].endswith(reason)
    assert not (await other).is_error
    assert not (await functions.invoke("f", {})).is_error


async def test_timeout_kills_the_process_and_its_children(
    functions: Functions, make: Make, log: Log
) -> None:
    await start(functions, make(timeout_s=0.3))
    outcome = await functions.invoke("f", {"sleep": 60, "spawn": True})
    assert outcome.payload["errorType"] == "Sandbox.Timedout"
    await log.line_with("Task timed out after 0.30 seconds")
    assert (await functions.invoke("f", {})).payload["count"] == 1


async def test_log_lines_have_the_name_of_the_function(
    functions: Functions, make: Make, log: Log
) -> None:
    await start(functions, make())
    await functions.invoke("f", {"log": "good news", "warn": "take care"}, request_id="r")
    await log.line_with("good news")
    line = await log.line_with("take care")
    assert line.startswith("[WARNING]\t")
    assert line.endswith("Z\tr\ttake care")
    assert {function for function, _ in log} == {"f"}


async def test_log_records_are_json_if_the_log_format_is_json(
    functions: Functions, make: Make, log: Log
) -> None:
    await start(functions, make(log_format="JSON"))
    await functions.invoke("f", {"warn": "take care"}, request_id="r")
    record = json.loads(await log.line_with("take care"))
    assert (record["level"], record["requestId"], record["logger"]) == ("WARNING", "r", "chat")


async def test_result_is_json_with_decimals_as_numbers(functions: Functions, make: Make) -> None:
    await start(functions, make())
    assert (await functions.invoke("f", {"decimal": 1})).payload == {"n": 1.5}
    assert (await functions.invoke("f", {"object": 1})).payload["errorType"] == "TypeError"
    outcome = await functions.invoke("f", {"large": 6 * 1024 * 1024})
    assert outcome.payload["errorType"] == "Function.ResponseSizeTooLarge"


async def test_event_and_result_of_5_mb_pass(functions: Functions, make: Make) -> None:
    await start(functions, make())
    outcome = await functions.invoke("f", {"large": 5_000_000, "padding": "x" * 5_000_000})
    assert len(outcome.payload) == 5_000_000


@pytest.mark.parametrize(
    ("code", "error_type"),
    [
        ("import nothing_like_it", "ModuleNotFoundError"),
        ("def handler(:", "SyntaxError"),
        ("raise SystemExit(1)", "SystemExit"),
        ("x = 1", "LookupError"),
        ("import os; os._exit(7)", "Runtime.ExitError"),
    ],
)
async def test_start_returns_the_error_of_a_handler_that_cannot_be_loaded(
    functions: Functions, make: Make, code: str, error_type: str
) -> None:
    errors = await start(functions, make(code))
    assert errors["f"].payload["errorType"] == error_type


async def test_start_returns_an_error_for_a_missing_code_folder(
    functions: Functions, tmp_path: Path
) -> None:
    function = Function("f", "arn:f", "app.handler", tmp_path / "gone")
    errors = await start(functions, function)
    assert errors["f"].payload["errorType"] == "Runtime.StartError"
    assert (await functions.invoke("f", {})).payload["errorMessage"].endswith("gone")


async def test_handler_that_cannot_be_loaded_fails_every_invocation(
    functions: Functions, make: Make
) -> None:
    await start(functions, make("raise RuntimeError('on purpose')"))
    outcomes = await asyncio.gather(*(functions.invoke("f", {}) for _ in range(5)))
    assert [outcome.payload["errorMessage"] for outcome in outcomes] == ["on purpose"] * 5


async def test_changed_code_runs_while_the_old_code_finishes(
    functions: Functions, make: Make
) -> None:
    await start(functions, make())
    old = asyncio.create_task(functions.invoke("f", {"sleep": 1}))
    await asyncio.sleep(0)
    function = make("def handler(event, context): return 'new'")
    await functions.use([function], ENDPOINTS, "us-east-1", {"f"})
    assert (await functions.invoke("f", {})).payload == "new"
    assert (await old).payload["count"] == 1


BACKGROUND = """
import os, subprocess, threading, time
LOOP = 'while :; do printf . >> "$1"; sleep 0.01; done'
def write(path):
    while True:
        with open(path, "a") as file: file.write(".")
        time.sleep(0.01)
def start(path):
    threading.Thread(target=write, args=[path], daemon=True).start()
def handler(event, context):
    if "thread" in event: start(event["thread"])
    if "child" in event: subprocess.Popen(["sh", "-c", LOOP, "sh", event["child"]])
    if "log" in event: print(event["log"])
    if "raise" in event: raise KeyError
    time.sleep(event.get("sleep", 0))
    return os.getpid()
"""


def is_stopped(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=True
        )
        if status.stdout.startswith("T"):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("kind", ["thread", "child"])
async def test_background_work_is_frozen_until_the_next_invocation(
    functions: Functions, make: Make, tmp_path: Path, kind: str
) -> None:
    await start(functions, make(BACKGROUND))
    written = tmp_path / "written"
    pid = (await functions.invoke("f", {kind: str(written), "sleep": 0.3})).payload
    assert is_stopped(pid)
    await asyncio.sleep(0.1)  # the other processes of the group stop as soon as they are scheduled
    first = written.stat().st_size
    assert first
    await asyncio.sleep(0.5)
    assert written.stat().st_size == first
    assert (await functions.invoke("f", {"sleep": 0.3})).payload == pid
    assert written.stat().st_size > first


async def test_process_is_frozen_before_its_first_invocation(
    functions: Functions, make: Make, tmp_path: Path
) -> None:
    written = tmp_path / "written"
    await start(functions, make(f"{BACKGROUND}\nstart({str(written)!r})"))
    await asyncio.sleep(0.1)
    first = written.stat().st_size if written.exists() else 0
    await asyncio.sleep(0.5)
    assert (written.stat().st_size if written.exists() else 0) == first
    await functions.invoke("f", {"sleep": 0.3})
    assert written.stat().st_size > first


async def test_process_is_frozen_after_an_exception_and_its_log_is_complete(
    functions: Functions, make: Make, log: Log
) -> None:
    await start(functions, make(BACKGROUND))
    pid = (await functions.invoke("f", {})).payload
    await functions.invoke("f", {"log": "last words", "raise": True})
    await log.line_with("last words")
    await log.line_with("[ERROR] KeyError")
    assert is_stopped(pid)


async def test_changed_code_ends_a_frozen_process(functions: Functions, make: Make) -> None:
    await start(functions, make(BACKGROUND))
    pid = (await functions.invoke("f", {})).payload
    assert is_stopped(pid)
    await functions.use([make()], ENDPOINTS, "us-east-1", {"f"})
    async with asyncio.timeout(20):
        with suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(0.01)
    assert not (await functions.invoke("f", {})).is_error


async def test_no_process_is_left_after_close(functions: Functions, make: Make) -> None:
    await start(functions, make())
    pid = (await functions.invoke("f", {})).payload["pid"]
    await functions.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
