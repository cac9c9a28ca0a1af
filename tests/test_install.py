"""`make install` says in a line per step what goes on, and otherwise only what went wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def test_a_package_that_cannot_be_had_is_named_and_the_set_up_is_not_taken_for_done(tmp_path: Path, project: Path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(project / name, tmp_path)
    shutil.copytree(project / "tools", tmp_path / "tools")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        ["make", "install"], cwd=tmp_path, env=os.environ | offline, capture_output=True, check=False, text=True
    )
    assert done.returncode != 0
    assert [line.split(" (")[0] for line in done.stdout.splitlines()] == [
        "Setting up .venv",
        "Installing PyTorch for the CPU",
    ]
    errors = done.stderr.splitlines()
    assert all(line.startswith(("ERROR: ", "make")) for line in errors)
    assert "torch==" in done.stderr
    assert not (tmp_path / ".venv" / ".ready").exists()
