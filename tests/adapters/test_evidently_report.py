"""Reports by the real Evidently in a real child process."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from monitor.adapters.evidently_report import EvidentlyReporter
from monitor.domain.schema import Schema
from monitor.errors import ModelError, MonitorError

SCHEMA = Schema(
    features={"price": "numeric", "empty": "numeric", "day": "categorical", "open": "boolean", "scan_0815": "image"}
).to_dict()


def table(rows: int, *, shift: float = 0.0, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    day = rng.choice(["mon", "tue"], rows)
    return pa.table(
        {
            "price": pa.array(rng.normal(shift, 1.0, rows), mask=rng.random(rows) < 0.1),
            "empty": pa.nulls(rows, pa.float64()),
            "day": pa.array(day, mask=rng.random(rows) < 0.1).dictionary_encode(),
            "open": pa.array(rng.random(rows) < 0.5),
            "scan_0815": pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(rows * 4, np.float32)), 4),
            "score:UP": rng.random(rows),
        }
    )


@pytest.mark.slow
def test_a_page_that_needs_no_network_and_leaves_out_what_cannot_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # where telemetry would keep its user id
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    out = tmp_path / "reports" / "page.html"
    reporter = EvidentlyReporter(timeout=timedelta(minutes=4))
    title = "prices: <b>day 3</b>"
    assert reporter.report(table(400), table(100, shift=1.0, seed=1), schema=SCHEMA, title=title, out=out) == out
    page = out.read_text()
    assert "<title>prices: &lt;b&gt;day 3&lt;/b&gt;</title>" in page
    assert "Without a value in one of the tables: empty" in page
    assert all(name in page for name in ("price", "day", "open", "score:UP"))
    assert "scan_0815" not in page
    assert re.findall(r"""<(?:script|link|img)[^>]*(?:src|href)=["']?https?:""", page) == []
    assert os.listdir(out.parent) == ["page.html"]
    assert not (tmp_path / "home").exists()


def test_a_report_that_takes_too_long_leaves_no_file_and_no_process(tmp_path: Path):
    reporter = EvidentlyReporter(timeout=timedelta(milliseconds=50))
    with pytest.raises(MonitorError, match=r"late.*`reports.timeout` of 0.05 s") as raised:
        reporter.report(table(50), table(50), schema=SCHEMA, title="late", out=tmp_path / "late.html")
    assert not isinstance(raised.value, ModelError)  # exit code 4 would blame the model's code
    assert os.listdir(tmp_path) == []
    assert [p for p in psutil.Process().children() if "evidently_child" in " ".join(p.cmdline())] == []


def test_nothing_to_draw_is_an_error_without_a_child(tmp_path: Path):
    only = table(50).select(["empty", "scan_0815"])
    with pytest.raises(MonitorError, match="no column has values in both"):
        EvidentlyReporter(timeout=timedelta(minutes=1)).report(
            only, only, schema=SCHEMA, title="nothing", out=tmp_path / "nothing.html"
        )
    assert os.listdir(tmp_path) == []
