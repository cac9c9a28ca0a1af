"""Arrays and a JSON header in one piece of bytes: safetensors, with a version and a checksum. Never a pickle."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from monitor.errors import ArtefactError

_HEADER = "header"  # JSON as bytes, kept as a tensor so that one call reads everything
_CODES = {  # numpy's name → safetensors' name, in the order in which it lays tensors out, from the end
    "|b1": "BOOL", "|u1": "U8", "|i1": "I8", "<i2": "I16", "<u2": "U16", "<f2": "F16",
    "<i4": "I32", "<u4": "U32", "<f4": "F32", "<f8": "F64", "<i8": "I64", "<u8": "U64",
}  # fmt: skip
_RANK = {name: rank for rank, name in enumerate(reversed(_CODES))}

Arrays = dict[str, npt.NDArray[Any]]


def pack(form: str, version: int, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """`form` names what is packed. Equal content gives equal bytes."""
    whole = {"form": form, "version": version, "checksum": _checksum(arrays), "header": header}
    text = json.dumps(whole, allow_nan=True).encode()
    return _laid_out({**arrays, _HEADER: np.frombuffer(text, dtype=np.uint8)})


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


def _laid_out(tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The very bytes of `safetensors.numpy.save`, copied once: its three copies were half of a detector's step."""
    described: dict[str, Any] = {}
    parts: list[memoryview] = []
    at = 0
    for name in sorted(tensors, key=lambda name: (_RANK[tensors[name].dtype.str], name)):
        array = np.asarray(tensors[name], order="C")
        end = at + array.nbytes
        described[name] = {"dtype": _CODES[array.dtype.str], "shape": array.shape, "data_offsets": (at, end)}
        parts.append(array.data)
        at = end
    head = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([len(head).to_bytes(8, "little"), head, *parts])


def _checksum(arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    """CRC-32: against damage, not against malice. A cryptographic digest took most of the time of a detector's step."""
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(f"{name} {_name(arrays[name].dtype)} {arrays[name].shape};".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(arrays[name]).data, checksum)
    return checksum


@cache
def _name(dtype: np.dtype[Any]) -> str:
    """Ten microseconds for each of some sixty arrays, when numpy makes it anew."""
    return str(dtype)
