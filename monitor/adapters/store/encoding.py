"""Values as strict JSON, which every reader of the database understands: NaN and infinities become null."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from monitor.domain.batch import aware


def to_json(value: Any) -> str:
    """Encode; raises TypeError for what JSON cannot hold. NumPy scalars and aware datetimes are taken too."""
    try:
        return _dumps(value)
    except ValueError:  # a NaN somewhere: rare, so only then is the whole value walked through
        return _dumps(_finite(value))


def from_json(text: str) -> Any:
    return json.loads(text)


def to_blob(value: Any) -> bytes:
    """Compressed JSON: measures of one batch shrink to about an eighth."""
    return zlib.compress(to_json(value).encode(), level=3)


def from_blob(blob: bytes) -> Any:
    return json.loads(zlib.decompress(blob))


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, datetime):
        return aware(value).isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value
