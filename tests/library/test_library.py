"""The client library, page/protocol.js, in Node: the tests are JavaScript for ``node --test``."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.backend import ROOT

_FILES = sorted(Path(__file__).parent.glob("*.test.js"))


def test_files_for_node_exist() -> None:
    assert _FILES


@pytest.mark.parametrize("file", _FILES, ids=[file.name for file in _FILES])
def test_node_runs_a_file_without_a_failure(file: Path) -> None:
    result = subprocess.run(
        ["node", "--no-warnings", "--test", "--test-timeout=110000", file],
        cwd=ROOT,
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^\S pass [1-9]", result.stdout, re.MULTILINE), result.stdout
