"""Arrays and a JSON header in one piece of bytes: safetensors, with a version and a checksum. Never a pickle."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from monitor.errors import ArtefactError

_HEADER = "header"  # JSON as bytes, kept as a tensor so that one call reads everything

Arrays = dict[str, npt.NDArray[Any]]


def pack(form: str, version: int, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """`form` names what is packed. Equal content gives equal bytes."""
    whole = {"form": form, "version": version, "checksum": _checksum(arrays), "header": header}
    text = json.dumps(whole, allow_nan=True).encode()
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return bytes(safetensors.save({_HEADER: np.frombuffer(text, dtype=np.uint8), **tensors}))


def unpack(form: str, version: int, body: bytes, file: str | None = None) -> tuple[dict[str, Any], Arrays]:
    """Return the header and the arrays. Raises ArtefactError, naming `file`, for damage or another form or version."""
    where = f"{file}: " if file else ""
    try:
        arrays = safetensors.load(body)
        whole = json.loads(arrays.pop(_HEADER).tobytes())
        found, found_version, checksum = whole["form"], whole["version"], whole["checksum"]
        header: dict[str, Any] = whole["header"]
    except (SafetensorError, KeyError, ValueError, TypeError) as exc:
        raise ArtefactError(f"{where}not a saved {form}, or damaged: {exc}") from exc
    if found != form:
        raise ArtefactError(f"{where}holds a {found}, not a {form}")
    if found_version != version:
        raise ArtefactError(f"{where}{form} of version {found_version}; this release reads version {version}")
    if checksum != _checksum(arrays):
        raise ArtefactError(f"{where}damaged: the checksum differs from the one saved")
    return header, arrays


def _checksum(arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    """CRC-32: against damage, not against malice. A cryptographic digest took most of the time of a detector's step."""
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(f"{name} {arrays[name].dtype} {arrays[name].shape};".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(arrays[name]).data, checksum)
    return checksum
