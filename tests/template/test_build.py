"""The build of the layer, as `sam build` runs shared/Makefile in a temporary folder."""

import os
import subprocess
from pathlib import Path

from tests.support.backend import ROOT

# Like a shim of pyenv: it looks for .python-version in PYENV_DIR, or else in the working directory,
# and in the parents of that folder.
SHIM = """#!/bin/sh
folder="${PYENV_DIR:-$PWD}"
while [ -n "$folder" ] && [ ! -f "$folder/.python-version" ]; do folder="${folder%/*}"; done
[ -n "$folder" ] || { echo "pyenv: python3.13: command not found" >&2; exit 127; }
mkdir -p "$ARTIFACTS_DIR/python"
"""


def test_layer_is_built_where_python_is_a_shim_of_pyenv(tmp_path: Path) -> None:
    shims, scratch = tmp_path / "shims", tmp_path / "scratch"
    (scratch / "chat").mkdir(parents=True)
    shims.mkdir()
    (shims / "python3.13").write_text(SHIM)
    (shims / "python3.13").chmod(0o755)
    environment = {
        "PATH": f"{shims}:{os.environ['PATH']}",
        "ARTIFACTS_DIR": str(tmp_path / "artifacts"),
    }
    build = subprocess.run(
        ["make", "--makefile", str(ROOT / "shared" / "Makefile"), "build-ChatLayer"],
        cwd=scratch,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    assert (tmp_path / "artifacts" / "python" / "chat").is_dir()
