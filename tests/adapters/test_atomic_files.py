"""A real disk that is full (a file size limit) and a user that may not write."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.adapters.atomic_files import write_atomically
from monitor.errors import StoreError

_TOO_LARGE = """
import resource, signal, sys
from pathlib import Path
from monitor.adapters.atomic_files import write_atomically
from monitor.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
try:
    write_atomically(Path(sys.argv[1]), b"x" * 4096)
except StoreError as exc:
    print(exc)
"""

_OTHER_USER = """
import os, sys
from pathlib import Path
from monitor.adapters.atomic_files import write_atomically
from monitor.errors import StoreError
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    write_atomically(Path(sys.argv[1]), b"new")
except StoreError as exc:
    print(exc)
"""


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_bytes_replace_the_old_content_and_leave_nothing_else(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["b.json"]


def test_a_writer_is_given_the_open_file(tmp_path):
    table = pa.table({"x": [1, 2, 3]})
    write_atomically(tmp_path / "t.parquet", lambda file: pq.write_table(table, file))
    assert pq.read_table(tmp_path / "t.parquet").equals(table)


def test_a_writer_that_raises_leaves_the_old_content(tmp_path):
    path = tmp_path / "t.txt"
    write_atomically(path, b"old")

    def half(file):
        file.write(b"ha")
        raise KeyError("half")

    with pytest.raises(KeyError):
        write_atomically(path, half)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["t.txt"]


def test_a_full_disk_names_the_path_and_leaves_the_old_content(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"old")
    said = run(_TOO_LARGE, str(path))
    assert said.startswith(f"{path}: cannot be written: File too large; free some space")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["t.txt"]


def test_a_folder_without_permission_names_the_path_and_the_remedy():
    with tempfile.TemporaryDirectory() as name:  # not `tmp_path`: another user may not go through its parents
        folder = Path(name)
        (folder / "t.txt").write_bytes(b"old")
        folder.chmod(0o555)
        said = run(_OTHER_USER, str(folder / "t.txt"))
        assert "t.txt: cannot be written: Permission denied; give this user write permission" in said
        assert (folder / "t.txt").read_bytes() == b"old"
        folder.chmod(0o755)


def test_a_parent_that_is_a_file_is_a_store_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"file/t\.txt: cannot be written"):
        write_atomically(tmp_path / "file" / "t.txt", b"x")
