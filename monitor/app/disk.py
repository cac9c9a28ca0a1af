"""Room for an attempt: a disk that fills up half-way harms the batches too."""

from __future__ import annotations

import shutil

from monitor.app.runtime import Runtime

_MIB = 1024**2


def lacking_space(rt: Runtime) -> str | None:
    """Why no attempt can be made now; None when the data folder's disk has `retrain.disk` left."""
    folder, wanted = rt.settings.data_folder, rt.config.retrain.disk
    free = shutil.disk_usage(folder).free
    if free >= wanted:
        return None
    return f"{folder}: {free // _MIB:,} MiB free, `retrain.disk` asks for {wanted // _MIB:,} MiB"
