"""A detector's state as bytes and back: exact, versioned, and bound to the streams it is for. No pickle."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import numpy as np

from monitor.domain.packed import Arrays, pack, unpack
from monitor.domain.verdict import ColumnFinding
from monitor.domain.watch.history import History
from monitor.domain.watch.state import DetectorState, Latch
from monitor.errors import OtherSettingsError
from monitor.stats.sequential.conformal import Ranks
from monitor.stats.sequential.distance import Dispersion
from monitor.stats.sequential.evidence import Evidence
from monitor.stats.sequential.longrun import LongRun
from monitor.stats.sequential.pooled import Pooled
from monitor.stats.sequential.regression import Regression
from monitor.stats.sequential.tail import LargestValues

_FORM, _VERSION = "detector state", 2
_PARTS: dict[str, type] = {
    "regression": Regression,
    "evidence": Evidence,
    "longrun": LongRun,
    "pooled": Pooled,
    "pooled.regression": Regression,
    "pooled.longrun": LongRun,
    "history": History,
    "ranks": Ranks,
    "tail": LargestValues,
    "dispersion": Dispersion,
}


def dump(state: DetectorState, *, fingerprint: str) -> bytes:
    """`parse(dump(s))` gives the same later numbers as `s`, bit for bit. `fingerprint` names streams and rule."""
    arrays: Arrays = {}
    plain: dict[str, Any] = {}
    _flatten("", state, arrays, plain)
    return pack(_FORM, _VERSION, {"fingerprint": fingerprint, "values": plain}, arrays)


def parse(body: bytes, *, fingerprint: str) -> DetectorState:
    """Raises ArtefactError for bytes that are damaged or of another version, OtherSettingsError for other streams."""
    header, arrays = unpack(_FORM, _VERSION, body)
    if header["fingerprint"] != fingerprint:
        raise OtherSettingsError("detector state belongs to another reference, or to another rule")
    plain = header["values"]
    parts = {name: _part(kind, name, arrays, plain) for name, kind in _PARTS.items() if "." not in name}
    own: dict[str, Any] = {name: array for name, array in arrays.items() if "." not in name}
    own |= {name: value for name, value in plain.items() if "." not in name}
    own["latch"] = _latch(own["latch"])
    own["notes"] = tuple(own["notes"])
    return DetectorState(**{**own, **parts})


def _flatten(prefix: str, value: Any, arrays: Arrays, plain: dict[str, Any]) -> None:
    for field in fields(value):
        name, item = prefix + field.name, getattr(value, field.name)
        if isinstance(item, np.ndarray):
            arrays[name] = item
        elif isinstance(item, Latch):
            plain[name] = _plain_latch(item)
        elif is_dataclass(item):
            _flatten(f"{name}.", item, arrays, plain)
        else:
            plain[name] = list(item) if isinstance(item, tuple) else item


def _part(kind: type, name: str, arrays: Arrays, plain: dict[str, Any]) -> Any:
    found = {field.name: f"{name}.{field.name}" for field in fields(kind)}
    if not any(path in arrays for path in found.values()):
        return None
    inner = {short: _part(_PARTS[path], path, arrays, plain) for short, path in found.items() if path in _PARTS}
    own = {
        short: arrays[path] if path in arrays else plain[path] for short, path in found.items() if short not in inner
    }
    return kind(**own, **inner)


def _plain_latch(latch: Latch) -> dict[str, Any]:
    return {
        "since": latch.since and latch.since.isoformat(),
        "reason": latch.reason,
        "evidence": latch.evidence,
        "columns": [c.to_dict() for c in latch.columns],
    }


def _latch(plain: dict[str, Any] | None) -> Latch | None:
    if plain is None:
        return None
    return Latch(
        since=plain["since"] and datetime.fromisoformat(plain["since"]),
        reason=plain["reason"],
        evidence=plain["evidence"],
        columns=tuple(ColumnFinding.from_dict(c) for c in plain["columns"]),
    )
