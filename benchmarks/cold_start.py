"""Fresh processes that import a handler and have its clients, against bare botocore.

They see what Lambda does: the packages that `shared/requirements.txt` pins, and no others. (The
development tools bring some that botocore and urllib3 would import as well.)
"""

from __future__ import annotations

import compileall
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from importlib.metadata import distribution
from pathlib import Path
from py_compile import PycInvalidationMode

from benchmarks.measure import Section, Table, shown, spread
from benchmarks.measured_backend import NOWHERE, template
from tests.support.backend import ROOT
from tests.support.stack import environment_of

_GOAL = 1.20
_HANDLER = "import lambda_function"
_FLOOR = """
from botocore.session import get_session
session = get_session()
for service in {services}:
    session.create_client(service)
"""
# Which clients there are once the handler is imported: the floor has to make the same.
_PROBE = """
import json, botocore.session
made, make = [], botocore.session.Session.create_client
def create_client(self, service, *args, **more):
    made.append(service)
    return make(self, service, *args, **more)
botocore.session.Session.create_client = create_client
import lambda_function
from pathlib import Path
status = Path("/proc/self/status")
peak = status.read_text().partition("VmHWM:")[2].split()[0] if status.exists() else 0
print(json.dumps([made, int(peak) // 1024]))
"""


def run(*, quick: bool) -> Section:
    """Start processes, handler and floor in turn."""
    stack = template()
    runs = 1 if quick else 15
    data = {}
    imports = {}
    with tempfile.TemporaryDirectory() as scratch:
        layer, bare = _lay_out(Path(scratch))
        for function in stack.functions.values():
            name = function.code.name
            environment = environment_of(function, stack.region)
            if "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI" in environment:
                environment["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"] = NOWHERE
            process = _Process(function.code, environment)
            services, memory_mb = json.loads(process.output(layer, _PROBE))
            floor = _FLOOR.format(services=services)
            data[name] = {"clients": services, "memoryMb": memory_mb} | _compare(
                {
                    "floor": (process, layer, floor),
                    "handler": (process, layer, _HANDLER),
                    "handler, no bytecode": (process, bare, _HANDLER),
                },
                runs,
            )
            imports[name] = process.imports(layer)
    return Section("cold_start", {"handlers": data, "imports": imports}, _tables(data, imports))


def _compare(subjects: dict[str, tuple[_Process, Path, str]], runs: int) -> dict[str, object]:
    cpu: dict[str, list[float]] = defaultdict(list)
    wall: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs):
        for subject, (process, layer, code) in subjects.items():
            began, before = time.perf_counter(), _children_s()
            process.output(layer, code)
            cpu[subject].append((_children_s() - before) * 1000)
            wall[subject].append((time.perf_counter() - began) * 1000)
    ratios = [own / floor for own, floor in zip(cpu["handler"], cpu["floor"], strict=True)]
    return {
        "cpuMs": {subject: spread(samples) for subject, samples in cpu.items()},
        "wallMs": {subject: spread(samples) for subject, samples in wall.items()},
        "timesFloor": spread(ratios),
    }


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Process:
    """A Python with a function's code, its environment, and nothing else."""

    def __init__(self, code: Path, environment: dict[str, str]) -> None:
        self._code = code
        self._environment = {"PATH": os.defpath, "LANG": "C.UTF-8", **environment}

    def output(self, layer: Path, code: str) -> str:
        return self._run(layer, "-c", code).stdout

    def imports(self, layer: Path) -> dict[str, float]:
        """Return how many milliseconds the imports take, by package, by ``-X importtime``."""
        said = self._run(layer, "-X", "importtime", "-c", _HANDLER).stderr
        packages: dict[str, float] = defaultdict(float)
        for line in said.splitlines()[1:]:
            own_us, _, module = line.removeprefix("import time:").split("|")
            package = module.strip().partition(".")[0]
            if package == "lambda_function":
                package = "clients and the handler"
            elif (layer / package).exists() or (layer / f"{package}.py").exists():
                pass
            else:
                package = "standard library"
            packages[package] += int(own_us) / 1000
        return {package: round(ms, 1) for package, ms in packages.items()}

    def _run(self, layer: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        # -S: without the development tools' packages. -B: a container writes no bytecode.
        return subprocess.run(  # noqa: S603 -- our own
            [sys.executable, "-S", "-B", *arguments],
            env=self._environment | {"PYTHONPATH": f"{self._code}:{layer}"},
            check=True,
            capture_output=True,
            text=True,
        )


def _lay_out(folder: Path) -> tuple[Path, Path]:
    """Make the layer twice: with bytecode, as `shared/Makefile` does, and without."""
    compiled, bare = folder / "compiled", folder / "bare"
    bare.mkdir()
    shutil.copytree(ROOT / "shared" / "chat", bare / "chat", ignore=_not_shipped)
    for line in (ROOT / "shared" / "requirements.txt").read_text().splitlines():
        name, pinned, _ = line.partition("==")
        if not pinned:
            continue
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or []}
        for top in tops - {"..", "__pycache__"}:
            source = Path(str(found.locate_file(top)))
            if source.is_dir():
                shutil.copytree(source, bare / top, ignore=_not_shipped)
            else:
                shutil.copy(source, bare / top)
    data = Path(str(distribution("botocore").locate_file("botocore/data")))
    (bare / "botocore" / "data").symlink_to(data.resolve())
    shutil.copytree(bare, compiled, symlinks=True)
    compileall.compile_dir(compiled, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return compiled, bare


def _not_shipped(folder: str, names: list[str]) -> set[str]:
    # botocore's 28 MB of models are linked, not copied.
    return {
        name for name in names
        if name == "__pycache__" or (name == "data" and Path(folder).name == "botocore")
    }  # fmt: skip


def _tables(
    data: dict[str, dict[str, object]], imports: dict[str, dict[str, float]]
) -> list[Table]:
    rows = []
    for name, found in data.items():
        cpu, wall, ratio = _of(found, "cpuMs"), _of(found, "wallMs"), found["timesFloor"]
        assert isinstance(ratio, dict)  # noqa: S101
        rows.append(
            [
                name,
                ", ".join(str(each) for each in found["clients"]),  # type: ignore[attr-defined]
                shown(cpu["floor"], 0),
                shown(cpu["handler"], 0),
                f"{shown(ratio, 2)} {'≤' if ratio['median'] <= _GOAL else '>'} {_GOAL:.2f}",
                shown(wall["handler"], 0),
                shown(cpu["handler, no bytecode"], 0),
                str(found["memoryMb"]),
            ]
        )
    columns = ["handler", "clients", "floor, CPU ms", "CPU ms", "times the floor", "wall ms",
               "CPU ms without bytecode", "MB"]  # fmt: skip
    packages = sorted(
        {package for each in imports.values() for package in each},
        key=lambda package: -max(each.get(package, 0) for each in imports.values()),
    )
    where = [
        [package, *(f"{each.get(package, 0):.1f}" for each in imports.values())]
        for package in packages
    ]
    return [
        Table("Cold start", columns, rows),
        Table("Where it goes, in ms (-X importtime, which itself takes some)",
              ["package", *imports], where),
    ]  # fmt: skip


def _of(found: dict[str, object], name: str) -> dict[str, dict[str, float]]:
    value = found[name]
    assert isinstance(value, dict)  # noqa: S101
    return value
