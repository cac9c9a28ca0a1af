"""Pools of labelled rows for the tests of selections."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from monitor.domain.candidates import Pool
from monitor.domain.checks.comparison import Answers
from monitor.domain.schema import Label, Schema

T0 = datetime(2024, 1, 1, tzinfo=UTC)
SCHEMA = Schema(
    features={"x": "numeric", "level": "categorical"}, id="id", timestamp="at", label=Label("y", "binary", positive="b")
)


def table(n: int, *, seed: int = 0, shift: float = 0.0) -> pa.Table:
    """One row an hour."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "id": [f"r{i}" for i in range(n)],
            "at": pa.array([T0 + timedelta(hours=i) for i in range(n)], pa.timestamp("us", "UTC")),
            "x": rng.normal(shift, 1.0, n),
            "level": rng.choice(["u", "v"], n),
        }
    )


def nothing_known() -> Answers:
    raise AssertionError("no selection but the curated one asks for cross-validation")


def pool(n: int, window_rows: int, **changes: Any) -> Pool:
    """Classes a and b in turn; `changes` replaces fields."""
    rows = changes.pop("table", table(n))
    times = np.array(rows.column("at").to_numpy(), dtype="datetime64[us]")
    plain = {
        "table": rows,
        "schema": SCHEMA,
        "target": np.arange(n) % 2,
        "classes": ("a", "b"),
        "times": times,
        "window_rows": window_rows,
        "current": None,
        "prior": {},
        "change": None,
        "rng": np.random.default_rng(0),
        "cross_validated": nothing_known,
    }
    return Pool(**{**plain, **changes})
