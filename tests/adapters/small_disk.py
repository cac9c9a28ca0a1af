"""Disks that are full or cannot be written to: file systems that only root may mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.missing import missing


@contextmanager
def small_disk(folder: Path, size_kib: int) -> Iterator[Path]:
    """Mount an empty file system of this size at `folder`."""
    folder.mkdir()
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs"):
        yield folder


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written or removed below."""
    with _mounted(folder, "--bind", str(folder)), _mounted(folder, "-o", "remount,ro,bind", undo=False):
        yield


@contextmanager
def _mounted(folder: Path, *how: str, undo: bool = True) -> Iterator[None]:
    done = subprocess.run(["mount", *how, str(folder)], check=False, capture_output=True, text=True)
    if done.returncode:
        missing(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        if undo:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, *, leave_kib: int = 0) -> Path:
    """Take up all space but so much; returns the file to remove to have it back."""
    ballast = folder / "ballast"
    free = os.statvfs(folder)
    ballast.write_bytes(bytes(max(free.f_bavail * free.f_frsize - leave_kib * 1024, 0)))
    return ballast
