"""The imports between modules: no circles, and only those that a package may have."""

import ast
import asyncio.streams
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# For each package of `local`: the other packages and modules of `local` that it may import.
ALLOWED_IMPORTS = {
    "template": {"errors", "iam", "ids", "patches"},
    "iam": {"credentials", "ids", "template.model"},
    "gateway": {"invocation_result", "template.model"},
    "lambdas": {"credentials", "invocation_result", "patches", "template.model"},
    "patches": {"errors", "iam.unsigned_requests", "ids"},
    "server": {"gateway", "iam", "lambdas", "patches"},
    "storage": {
        "credentials",
        "errors",
        "iam",
        "ids",
        "listening",
        "patches",
        "server.hosts",
        "template.model",
    },
}
WITH_SOCKETS = {
    "h11", "httpx", "select", "selectors", "socket", "socketserver", "ssl", "starlette",
    "urllib3", "uvicorn", "websockets",
}  # fmt: skip


def modules_of(root: Path, package: str) -> dict[str, Path]:
    """Return the files of a package by their modules' names."""
    found = {}
    for path in (root / package).rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, in functions and under TYPE_CHECKING as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(modules: dict[str, Path]) -> dict[str, set[str]]:
    """Return the modules that each module imports, of the same package."""
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        graph[module] = set()
        for name in imported_names(ast.parse(path.read_text())):
            # The name in `from module import name` is a module or something in one.
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules:
                graph[module].add(target)
    return graph


def assert_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(reversed(error.args[1]))}")


@pytest.mark.parametrize(("root", "package"), [(ROOT, "local"), (ROOT / "shared", "chat")])
def test_modules_have_no_import_circle(root: Path, package: str) -> None:
    graph = imports(modules_of(root, package))
    assert sum(map(len, graph.values())) > 10
    assert_no_circle(graph)


def test_circle_under_type_checking_is_found(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "one.py").write_text("from package import two\n")
    (package / "two.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.one import Thing\n"
    )
    graph = imports(modules_of(tmp_path, "package"))
    with pytest.raises(pytest.fail.Exception, match=r"import circle: package\.\w+ -> package"):
        assert_no_circle(graph)


@pytest.mark.parametrize("package", ALLOWED_IMPORTS)
def test_package_imports_only_what_is_allowed(package: str) -> None:
    allowed = {f"local.{name}" for name in {package, *ALLOWED_IMPORTS[package]}}
    for module, targets in imports(modules_of(ROOT, "local")).items():
        if f"{module}.".startswith(f"local.{package}."):
            outside = {
                target
                for target in targets
                if not any(f"{target}.".startswith(f"{name}.") for name in allowed)
            }
            assert not outside, f"{module} imports {outside}"


def test_gateway_has_rules_and_no_sockets() -> None:
    streams = {f"asyncio.{name}" for name in asyncio.streams.__all__}
    for module, path in modules_of(ROOT / "local", "gateway").items():
        tree = ast.parse(path.read_text())
        top_level = {name.partition(".")[0] for name in imported_names(tree)}
        assert not top_level & WITH_SOCKETS, module
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not (used | set(imported_names(tree))) & streams, module
