"""Write a file so that a reader, or a crash, sees the old content or the new, never half of it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

from monitor.errors import StoreError

TEMPORARY_SUFFIX = ".partial"  # of the hidden name under which a file is written before it gets its own


def write_atomically(path: Path, content: bytes | Callable[[IO[bytes]], object]) -> None:
    """Write `content`, or what it writes to the open file it is called with, and put it at `path` durably.

    Written to a hidden temporary name in the same folder (made when missing), fsynced, renamed, the folder fsynced.
    A crash leaves at most a file named `.NAME.….partial`. Raises StoreError naming the path when the disk is full or
    the folder cannot be written; what `content` itself raises passes through. In both cases `path` is untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    content(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as exc:
        raise StoreError(f"{path}: cannot be written: {exc.strerror or exc}; {_remedy(exc)}") from exc


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_partial_files(folder: Path) -> None:
    """Remove what killed writers left anywhere under `folder`. Only for who alone writes there now."""
    for file in folder.rglob(f".*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def _remedy(exc: OSError) -> str:
    if isinstance(exc, PermissionError):
        return "give this user write permission on the folder"
    return "free some space, or check that the disk is writable"
