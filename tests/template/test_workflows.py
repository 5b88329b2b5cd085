"""The workflows of GitHub, and the commands and links in the documents."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name

from local.template.parameters import parameter_values, parse_overrides
from local.template.transform import read
from tests.support.backend import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
README = ROOT / "README.md"
OPERATING = ROOT / "docs" / "operating.md"
CONFIGURATIONS = tomllib.loads((ROOT / "samconfig.toml").read_text())


def loaded(path: Path) -> dict[str, Any]:
    # YAML 1.1 takes the key `on` for true.
    document: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {{True: "on"}.get(key, key): value for key, value in document.items()}


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in loaded(path)["jobs"].values():
        yield from job["steps"]


def test_workflows_are_audit_ci_and_deploy() -> None:
    assert [path.stem for path in WORKFLOWS] == ["audit", "ci", "deploy"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_action_is_pinned_to_a_commit_with_its_version(path: Path) -> None:
    lines = re.findall(r"uses: (.*)", path.read_text())
    assert len(lines) == sum("uses" in step for step in steps(path)) > 0
    for line in lines:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_action_has_the_same_commit_in_all_workflows() -> None:
    pins = {line for path in WORKFLOWS for line in re.findall(r"uses: (.*)", path.read_text())}
    assert len(pins) == len({pin.partition("@")[0] for pin in pins})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_can_only_read_and_has_a_timeout(path: Path) -> None:
    workflow = loaded(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 30
        assert job.get("permissions", {}).keys() <= {"contents", "id-token"}
        assert job.get("permissions", {}).get("contents", "read") == "read"
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_runs_only_commands_that_a_laptop_can_run(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert commands
    for command in commands:
        # An input of the workflow must not become a part of a script.
        assert "${{" not in command
        called = set(re.findall(r"^make ([\w-]+)", command))
        assert called <= targets
        assert called or command == ".ci/run" or command.startswith(".venv/bin/sam deploy ")


def test_ci_runs_lint_types_build_deploy_test_and_all_tests() -> None:
    (ci,) = (path for path in WORKFLOWS if path.stem == "ci")
    assert {"push", "pull_request"} == loaded(ci)["on"].keys()
    assert [step["run"] for step in steps(ci) if "run" in step] == [".ci/run"]
    run = (ROOT / ".ci" / "run").read_text()
    targets = ["lint", "types", "build", "deploy-test", "test-all"]
    assert run.endswith("\n".join(["", *(f"make {target}" for target in targets), ""]))


def test_deploy_workflow_is_started_by_hand_and_has_no_keys() -> None:
    (deploy,) = (path for path in WORKFLOWS if path.stem == "deploy")
    workflow = loaded(deploy)
    assert workflow["on"].keys() == {"workflow_dispatch"}
    job = workflow["jobs"]["deploy"]
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert job["environment"] == "${{ inputs.config }}"
    assert "secrets." not in deploy.read_text()
    done = done_by(job)
    (assumes_role,) = (place for place, each in enumerate(done) if "credentials@" in each)
    assert assumes_role == len(done) - 3
    assert done[-2].startswith(".venv/bin/sam deploy --config-env")
    assert done[-1].startswith("make smoke URL=")


def done_by(job: dict[str, Any]) -> list[str]:
    return [str(step.get("run") or step["uses"]) for step in job["steps"]]


def test_deploy_workflow_builds_in_a_job_that_can_get_no_credentials() -> None:
    (path,) = (path for path in WORKFLOWS if path.stem == "deploy")
    build, deploy = loaded(path)["jobs"]["build"], loaded(path)["jobs"]["deploy"]
    assert "permissions" not in build  # those of the workflow: to read
    assert "environment" not in build
    assert done_by(build)[-3:-1] == ["make lint", "make build"]
    assert deploy["needs"] == "build"
    assert not {"make lint", "make build"} & set(done_by(deploy))
    upload, download = build["steps"][-1], deploy["steps"][2]
    assert upload["uses"].startswith("actions/upload-artifact@")
    assert download["uses"].startswith("actions/download-artifact@")
    for name in ("name", "path"):
        assert upload["with"][name] == download["with"][name]
    assert upload["with"]["path"] == ".aws-sam/build"
    # Otherwise the artifact is empty: the folder's name begins with a dot.
    assert upload["with"]["include-hidden-files"] is True


def test_build_for_a_deployment_has_the_architecture_of_the_functions() -> None:
    """SAM downloads machine code for another architecture again, and without hashes."""
    (path,) = (path for path in WORKFLOWS if path.stem == "deploy")
    assert read(ROOT / "template-python.yaml")["Parameters"]["Architecture"]["Default"] == "arm64"
    assert loaded(path)["jobs"]["build"]["runs-on"].endswith("-arm")


def test_updates_wait_for_a_week() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert {each["package-ecosystem"] for each in updates} == {"pip", "npm", "github-actions"}
    assert all(each["cooldown"] == {"default-days": 7} for each in updates)


def test_audit_fails_where_a_package_cannot_be_audited() -> None:
    (line,) = re.findall(r"pip-audit .*", (ROOT / "Makefile").read_text())
    assert "--strict" in line


def test_deploy_workflow_offers_the_configurations_of_samconfig() -> None:
    (deploy,) = (path for path in WORKFLOWS if path.stem == "deploy")
    choice = loaded(deploy)["on"]["workflow_dispatch"]["inputs"]["config"]
    assert choice["options"] == [name for name in CONFIGURATIONS if name != "version"]
    (region,) = (step["with"]["aws-region"] for step in steps(deploy) if "aws-region" in str(step))
    assert {
        CONFIGURATIONS[name]["global"]["parameters"]["region"] for name in choice["options"]
    } == {region}


def test_production_has_a_separate_stack_and_asks_before_deploying() -> None:
    default, production = CONFIGURATIONS["default"], CONFIGURATIONS["prod"]
    assert (
        default["global"]["parameters"]["stack_name"]
        != (production["global"]["parameters"]["stack_name"])
    )
    for command in ("build", "validate"):
        assert production[command] == default[command]
    settings = production["deploy"]["parameters"]
    assert "template_file" not in settings
    assert settings["confirm_changeset"] is True
    assert settings["capabilities"] == "CAPABILITY_IAM"
    chosen = parse_overrides(settings["parameter_overrides"])
    declared = read(ROOT / "template-python.yaml")["Parameters"]
    values = parameter_values(declared, chosen)  # raises if one is not allowed
    assert values["FunctionNamePrefix"]
    assert values["Monitoring"] == "true"


def commands() -> list[list[str]]:
    """Return the commands of the AWS CLI that the documents show."""
    text = "\n".join(document.read_text() for document in (README, OPERATING))
    blocks = re.findall(r"^ *```console\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [re.search(r"\baws (?!s3 )[a-z0-9-]+ .*?(?=\)?$|; done$)", line) for line in lines]
    return [shlex.split(each[0]) for each in found if each]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[1:3]))
def test_documented_aws_command_exists(words: list[str]) -> None:
    _, service, operation, *rest = words
    model = botocore.session.get_session().get_service_model({"s3api": "s3"}.get(service, service))
    (name,) = (each for each in model.operation_names if xform_name(each, "-") == operation)
    shape = model.operation_model(name).input_shape
    assert shape is not None
    members = {xform_name(member, "-") for member in shape.members}
    required = {xform_name(member, "-") for member in shape.required_members}
    flags = {word.removeprefix("--").partition("=")[0] for word in rest if word.startswith("--")}
    # These are options of the CLI itself, and its own name for `Endpoint`.
    flags -= {"query", "output", "region", "endpoint-url", "cli-binary-format"}
    assert flags - {"notification-endpoint"} <= members
    assert required <= flags


def test_documents_have_aws_commands_and_valid_json() -> None:
    assert len(commands()) > 12
    for block in re.findall(
        r"^```json\n(.*?)^```$", OPERATING.read_text(), re.DOTALL | re.MULTILINE
    ):
        assert json.loads(block)


@pytest.mark.parametrize("document", ["README.md", "docs/operating.md", "docs/runbook.md"])
def test_links_between_documents_lead_to_existing_headings(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text()):
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
            assert anchor in anchors, target


@pytest.mark.parametrize(
    "name",
    [
        "package-lock.json",
        "requirements-deploy.txt",
        "requirements-dev.txt",
        "shared/requirements.txt",
        "on_connect/requirements.txt",
    ],
)
def test_lock_file_names_no_host(name: str) -> None:
    """The index of packages is configured on each machine; `make lock` leaves it out."""
    assert "://" not in (ROOT / name).read_text()
