"""MiniStack, an emulator of AWS, and the real SAM CLI that deploys to it."""

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx

from tests.support.backend import ROOT

PYTHON = ROOT / ".venv-deploy" / "bin" / "python"
STACK = "serverless-chat-backend"
REGION = "us-east-1"
ROOT_KEYS = ("test", "test")
"""An access key and its secret, which MiniStack lets do everything."""
_START_TIMEOUT_S = 60
_SHIPPED = (
    "template-python.yaml", "samconfig.toml", ".python-version",
    "shared", "on_connect", "on_disconnect", "send_message", "send_file",
)  # fmt: skip


@dataclass
class Emulator:
    """A running MiniStack, with roles enforced.

    Attributes:
        url: Where its AWS is.
        certificate: The file with its certificate, which is its authority too.
        calls: The file to which it writes each call that it checked.
    """

    url: str
    certificate: Path
    calls: Path
    _read: int = 0

    def client(self, service: str, keys: tuple[str, str] = ROOT_KEYS, url: str = "") -> Any:
        """Return a client with these keys; by default it may do everything."""
        key, secret = keys
        client: Any = boto3.client  # its types are those of single services
        return client(
            service, REGION, endpoint_url=url or self.url, verify=str(self.certificate),
            aws_access_key_id=key, aws_secret_access_key=secret,
        )  # fmt: skip

    def denied(self) -> list[dict[str, str]]:
        """Return the calls that were denied since the last time."""
        lines = self.calls.read_text().splitlines()
        new, self._read = lines[self._read :], len(lines)
        return [call for call in map(json.loads, new) if call["denied"]]

    @property
    def push_endpoint(self) -> str:
        return f"{self.url}/_aws/execute-api"


@contextmanager
def emulator(folder: Path, *options: str, has_tls: bool = True) -> Iterator[Emulator]:
    """Run MiniStack until the block ends.

    Args:
        folder: Where it may write.
        options: Of `ministack_patches.py`.
        has_tls: Whether it serves HTTPS, without which the policy of our bucket denies everything.
    """
    assert PYTHON.exists(), "`make deploy-test` sets up .venv-deploy"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    calls = folder / "calls.jsonl"
    calls.touch()
    environment = {
        # First the Python of the emulator, which then runs the functions too.
        "PATH": f"{PYTHON.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "AUTH": "true",
        "USE_SSL": str(has_tls),
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
    }
    program = Path(__file__).with_name("ministack_patches.py")
    command = [str(PYTHON), str(program), str(port), str(calls), *options]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        certificate = folder / "ministack-tls" / "server.crt"
        scheme = "https" if has_tls else "http"
        running = Emulator(f"{scheme}://127.0.0.1:{port}", certificate, calls)
        try:
            _wait_for(running, process)
            yield running
        finally:
            process.send_signal(signal.SIGKILL)


def _wait_for(running: Emulator, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, (running.calls.parent / "log").read_text()
        try:
            httpx.get(f"{running.url}/_ministack/health", verify=False)  # noqa: S501 -- on 127.0.0.1
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the emulator did not start")


@dataclass
class Sam:
    """The SAM CLI in a copy of what is deployed, as a deployer with keys.

    Attributes:
        aws: Where it deploys to.
        folder: The copy.
        keys: The deployer's access key and secret.
        parameters: Those that an emulator needs.
    """

    aws: Emulator
    folder: Path
    keys: tuple[str, str] = ROOT_KEYS
    parameters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _SHIPPED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, self.folder / name)
        # Functions run on this machine.
        machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
        self.parameters = {
            "Architecture": machine,
            "PushEndpoint": self.aws.push_endpoint,
            **self.parameters,
        }

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command, and return how it ended."""
        key, secret = self.keys
        ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = {
            **ours,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SAM_CLI_TELEMETRY": "0",
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_CA_BUNDLE": str(self.aws.certificate),
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }
        return subprocess.run(
            ["sam", *words],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def do(self, *words: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def build(self) -> str:
        return self.do("build", *self._overrides({}))

    @property
    def built_template(self) -> Path:
        return self.folder / ".aws-sam" / "build" / "template.yaml"

    def deploy_words(
        self, stack: str = STACK, template: Path | None = None, **parameters: str
    ) -> list[str]:
        words = ["deploy"] if stack == STACK else ["deploy", "--stack-name", stack]
        if template:
            # SAM looks for the configuration next to the template.
            config = self.folder / "samconfig.toml"
            words += ["--template-file", str(template), "--config-file", str(config)]
        return words + self._overrides(parameters)

    def deploy(
        self, stack: str = STACK, template: Path | None = None, **parameters: str
    ) -> "Deployment":
        """Deploy what was built, and return what came of it."""
        printed = self.do(*self.deploy_words(stack, template, **parameters))
        return Deployment(self, stack, printed)

    def delete(self, stack: str = STACK) -> str:
        return self.do("delete", "--stack-name", stack, "--region", REGION, "--no-prompts")

    def _overrides(self, parameters: dict[str, str]) -> list[str]:
        chosen = self.parameters | parameters
        return ["--parameter-overrides", *(f"{name}={value}" for name, value in chosen.items())]


@dataclass(frozen=True)
class Deployment:
    """A deployed stack.

    Attributes:
        sam: What deployed it.
        stack: Its name.
        printed: What `sam deploy` printed.
    """

    sam: Sam
    stack: str
    printed: str

    @property
    def outputs(self) -> dict[str, str]:
        described = self.sam.aws.client("cloudformation").describe_stacks(StackName=self.stack)
        (stack,) = described["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    @property
    def url(self) -> str:
        """The URL for clients: `WebSocketURI`, where the emulator has it."""
        return self.push_url.replace("https://", "wss://")

    @property
    def push_url(self) -> str:
        """The URL of `@connections`."""
        api = self.outputs["WebSocketURI"].removeprefix("wss://").partition(".")[0]
        return f"{self.sam.aws.push_endpoint}/{api}/prod"
