"""One daemon per data folder: a lock that the operating system drops when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.errors import BusyError, StoreError


@contextmanager
def data_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/daemon.lock`; raises BusyError with the holder's process id, StoreError without permission."""
    file = folder / "daemon.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as exc:
        raise StoreError(f"{file}: {exc.strerror}; the data folder must be writable") from exc
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode().strip() or "unknown"
            raise BusyError(f"{folder}: a daemon works here already (process {holder}); one per data folder") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)  # drops the lock
