"""The speed benchmark: runs every contender on every workload, one after the other, and tabulates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, LIMIT, OURS, Contender, python_of
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)

Row = Mapping[str, Any]


def run(works: Sequence[str], labels: Sequence[str], repeats: int, budget: float, limit: float) -> list[Row]:
    """One row per contender and workload that it can do; `error` says why a number is missing."""
    rows: list[Row] = []
    for work in works:
        for label in labels:
            contender = CONTENDERS[label]
            growth = work.startswith(("rows-", "columns-"))
            if WORKLOADS[work].task not in contender.tasks or (growth and contender.environment is not None):
                continue
            row = {"work": work, "contender": label, **_measured(contender, work, repeats, budget, limit)}
            print(f"{work:15} {label:24} {_cell(row)}", file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def _measured(contender: Contender, work: str, repeats: int, budget: float, limit: float) -> dict[str, Any]:
    try:
        python = python_of(contender)
    except RuntimeError as exc:
        return {"error": f"not installed: {exc}"}
    command = [str(python), "-m", "benchmarks.child", contender.module, work, str(repeats), str(budget)]
    root = Path(__file__).parent.parent
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": str(root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,  # some peers meddle with the terminal
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"more than {limit:g} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200]}
    return dict(json.loads(done.stdout))


def save(rows: Iterable[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(rows), indent=1) + "\n")


def table(rows: Sequence[Row]) -> str:
    """Markdown: CPU seconds and how many times ours; then the peak memory; then the versions."""
    works = list(dict.fromkeys(row["work"] for row in rows))
    found = {(row["contender"], row["work"]): row for row in rows}
    labels = [label for label in CONTENDERS if any(label == row["contender"] for row in rows)]
    lines = ["CPU seconds (times ours)", "", _line("", works), _line("---", ["---:"] * len(works))]
    lines += [_line(label, [_ratio(found, label, work) for work in works]) for label in labels]
    lines += ["", "Peak memory beyond the input, MiB", "", _line("", works), _line("---", ["---:"] * len(works))]
    lines += [_line(label, [_memory(found.get((label, work))) for work in works]) for label in labels]
    lines += ["", "Versions", ""]
    for label in labels:
        versions = next((r["versions"] for r in rows if r["contender"] == label and "versions" in r), {})
        lines.append(f"- {label}: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    errors = [f"- {row['contender']} on {row['work']}: {row['error']}" for row in rows if "error" in row]
    return "\n".join([*lines, *(["", "Without a number", "", *errors] if errors else [])])


def _line(first: str, cells: Iterable[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"


def _ratio(found: Mapping[tuple[str, str], Row], label: str, work: str) -> str:
    row, ours = found.get((label, work)), found.get((OURS.label, work), {})
    if row is None:
        return ""
    if "error" in row or "error" in ours or label == OURS.label or "cpu_seconds" not in ours:
        return _cell(row)
    return f"{_cell(row)} ({row['cpu_seconds'] / ours['cpu_seconds']:.3g}×)"


def _cell(row: Row) -> str:
    return "–" if "error" in row else f"{row['cpu_seconds']:.3g}"


def _memory(row: Row | None) -> str:
    return "" if row is None else "–" if row.get("peak_mib") is None else f"{row['peak_mib']:.0f}"


def default_works(quick: bool) -> list[str]:
    return ["W1", "mmd-1k", "classifier-10k"] if quick else list(WORKLOADS)


def default_labels(quick: bool) -> list[str]:
    return [LIMIT.label, OURS.label, "scipy loop"] if quick else list(CONTENDERS)
