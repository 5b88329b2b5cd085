"""The page that the runner serves with `--page`."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.local.test_command import fails_with
from tests.support.backend import ROOT
from tests.support.runner import LocalRunner, local_runner

pytestmark = pytest.mark.slow

CHAT = ROOT / "template-python.yaml"
FORBIDDEN = (403, {"message": "Forbidden"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("around") / "page"
    folder.mkdir()
    (folder / "index.html").write_text("<title>A page</title>")
    (folder / "module.js").write_text("export const one = 1;")
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[LocalRunner]:
    with local_runner("--page", str(folder), template=CHAT) as run:
        yield run


def test_page_is_printed_and_served(run: LocalRunner) -> None:
    assert f"Page: {run.origin}/" in run.lines
    answer = httpx.get(f"{run.origin}/")
    assert (answer.status_code, answer.text) == (200, "<title>A page</title>")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    module = httpx.get(f"{run.origin}/module.js")
    assert module.headers["Content-Type"].startswith("text/javascript")


def test_edit_of_the_page_shows_at_the_next_load(run: LocalRunner, folder: Path) -> None:
    url = f"{run.origin}/module.js"
    known = {"If-None-Match": httpx.get(url).headers["ETag"]}
    assert httpx.get(url, headers=known).status_code == 304
    (folder / "module.js").write_text("export const two = 22;")
    answer = httpx.get(url, headers=known)
    assert (answer.status_code, answer.text) == (200, "export const two = 22;")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "//../secret.txt",
        "/link.txt",
        "/%00",
        "/index.html%00.js",
        "/" + "x" * 300,
    ],
)
def test_path_outside_of_the_page_folder_is_403(run: LocalRunner, path: str) -> None:
    # As a raw path: httpx would tidy it.
    url = httpx.URL(run.origin).copy_with(raw_path=path.encode())
    answer = httpx.get(url)
    assert (answer.status_code, answer.json()) == FORBIDDEN


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_write_to_the_page_is_403(run: LocalRunner, method: str) -> None:
    answer = httpx.request(method, f"{run.origin}/")
    assert (answer.status_code, answer.json()) == FORBIDDEN


def test_plain_http_to_the_stage_is_426_with_a_page(run: LocalRunner) -> None:
    assert httpx.get(run.http_url).status_code == 426
    assert httpx.get(f"{run.http_url}/").status_code == 426


def test_root_is_403_without_a_page() -> None:
    with local_runner(template=ROOT / "tests/local/templates/rooms.yaml") as run:
        assert not any(line.startswith("Page:") for line in run.lines)
        answer = httpx.get(f"{run.origin}/")
        assert (answer.status_code, answer.json()) == FORBIDDEN


def test_missing_page_folder_is_a_one_line_error(tmp_path: Path) -> None:
    fails_with("there is no folder", "--template", CHAT, "--port", 0, "--page", tmp_path / "none")


def test_page_learns_that_each_start_has_another_database(tmp_path: Path) -> None:
    (tmp_path / "database.js").write_text('export const databaseId = "";')
    served = set()
    for _ in range(2):
        with local_runner("--page", str(tmp_path), template=CHAT) as run:
            answer = httpx.get(f"{run.origin}/database.js")
            assert answer.headers["Content-Type"].startswith("text/javascript")
            assert answer.headers["Cache-Control"] == "no-cache"
            assert httpx.get(f"{run.origin}/database.js").text == answer.text
            served.add(answer.text)
    assert len(served) == 2
    assert 'export const databaseId = "";\n' not in served


def test_page_without_a_database_module_gets_none(run: LocalRunner) -> None:
    assert httpx.get(f"{run.origin}/database.js").status_code == 403
