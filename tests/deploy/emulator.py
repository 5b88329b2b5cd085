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
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx

from tests.support.backend import ROOT
from tests.support.device import Device, open_device

PYTHON = ROOT / ".venv-deploy" / "bin" / "python"
STACK = "serverless-chat-backend"
REGION = "us-east-1"
ROOT_KEYS = ("test", "test")
"""An access key and its secret, which MiniStack lets do everything."""
COLD_START_TIMEOUT_S = 120
"""How long clients wait. On AWS a handshake ends after 29 s. MiniStack sets no limit: a handshake
or a frame waits for the cold start of its function, which unpacks 25 MB and imports botocore. That
is a second of CPU, but took 30 s on two cores that ten other processes used."""
_START_TIMEOUT_S = 60
_OFTEN = {"Delay": 0.2, "MaxAttempts": 600}
"""For a waiter."""
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

    def stacks(self) -> set[str]:
        """Return the names of the stacks that are there."""
        described = self.client("cloudformation").describe_stacks()["Stacks"]
        return {stack["StackName"] for stack in described}

    def delete_stack(self, stack: str) -> None:
        """Delete a stack, whatever `sam delete` would ask."""
        cloudformation = self.client("cloudformation")
        cloudformation.delete_stack(StackName=stack)
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=stack, WaiterConfig=_OFTEN
        )


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


def device(url: str, **query: str) -> AbstractContextManager[Device]:
    """Connect a device that waits for cold starts."""
    return open_device(url, query, COLD_START_TIMEOUT_S)


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

    def uploaded_template(self, stack: str = STACK) -> str:
        """Return the template of a stack, whose code `sam deploy` has put into a bucket."""
        cloudformation = self.aws.client("cloudformation", self.keys)
        got = cloudformation.get_template(StackName=stack, TemplateStage="Original")
        template: str = got["TemplateBody"]
        return template

    def _uploaded(self, template: str) -> str:
        """Put a template into SAM's bucket, and return its URL. In a call it may have 51,200 bytes.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
        """
        buckets = self.aws.client("s3").list_buckets()["Buckets"]
        (bucket,) = (each["Name"] for each in buckets if each["Name"].startswith("aws-sam-cli-"))
        s3 = self.aws.client("s3", self.keys)
        s3.put_object(Bucket=bucket, Key="changed.template", Body=template.encode())
        return f"https://s3.{REGION}.amazonaws.com/{bucket}/changed.template"

    def change(self, stack: str, template: str, **parameters: str) -> "Deployment":
        """Create or update a stack with the calls of `sam deploy`.

        The command itself takes seconds longer: it starts, looks for code to upload, and polls.

        Args:
            stack: Its name.
            template: An uploaded template.
            parameters: Those of the template. All others have their defaults.

        Raises:
            WaiterError: It failed, and was rolled back.
        """
        cloudformation = self.aws.client("cloudformation", self.keys)
        exists = stack in self.aws.stacks()
        change = {"StackName": stack, "ChangeSetName": f"change-{time.time_ns()}"}
        cloudformation.create_change_set(
            **change,
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateURL=self._uploaded(template),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in (self.parameters | parameters).items()
            ],
        )
        cloudformation.get_waiter("change_set_create_complete").wait(**change, WaiterConfig=_OFTEN)
        cloudformation.execute_change_set(**change)
        done = f"stack_{'update' if exists else 'create'}_complete"
        cloudformation.get_waiter(done).wait(StackName=stack, WaiterConfig=_OFTEN)
        return Deployment(self, stack)

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
        printed: What `sam deploy` printed, if that deployed it.
    """

    sam: Sam
    stack: str
    printed: str = ""

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
