"""CPU seconds of CBPE beside NannyML's: 100,000 rows in chunks of 5,000, three metrics, one run.

python -m benchmarks.labels.speed

Two classes, 10,000 held-out rows, for both. What is timed is the calibration on the held-out rows, and then the
estimates with their intervals; imports are not. Ours is the way without a shift, which is what CBPE is, so that both do
the same; what a batch costs with all assumptions looked at is timed by `benchmarks.labels.assumptions`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from time import process_time

import numpy as np
from scipy import special

from benchmarks.labels.real_streams import run_nannyml
from monitor.domain.performance_estimate import Assumption, ClassesAssumed
from monitor.stats.estimation.calibrator import fit_calibrator

_HELD_OUT, _ROWS, _CHUNK = 10_000, 100_000, 5_000
_METRICS = ("roc_auc", "accuracy", "f1")


def drawn(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of an overconfident model, and labels."""
    logit = rng.normal(-0.5, 1.5, rows)
    label = (rng.random(rows) < special.expit(logit)).astype(np.int64)
    p = special.expit(1.7 * logit)
    return np.column_stack([1.0 - p, p]), label


def ours(held_out: tuple[np.ndarray, np.ndarray], scores: np.ndarray) -> dict:
    begun = process_time()
    plain = fit_calibrator("bias_corrected", *held_out)
    fitted = process_time()
    values: dict[str, list[float]] = {name: [] for name in _METRICS}
    for first in range(0, _ROWS, _CHUNK):
        chunk = scores[first : first + _CHUNK]
        assumed = ClassesAssumed(Assumption.NO_SHIFT, (plain,), chunk, chunk)
        for name in _METRICS:
            values[name].append(assumed.estimate(name).value)
    return {"values": values, "fit": fitted - begun, "estimate": process_time() - fitted}


def main() -> None:
    rng = np.random.default_rng(0)
    held_out, (scores, target) = drawn(rng, _HELD_OUT), drawn(rng, _ROWS)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "reference.npz", scores=held_out[0], target=held_out[1])
        np.savez(Path(folder) / "analysis.npz", scores=scores, target=target)
        theirs = run_nannyml(folder, _CHUNK, _METRICS)
    mine = ours(held_out, scores)
    apart = {name: np.abs(np.subtract(mine["values"][name], theirs["values"][name])).max() for name in _METRICS}
    table = {
        "ours": {part: round(mine[part], 4) for part in ("fit", "estimate")},
        f"nannyml {theirs['version']}": {part: round(theirs[part], 4) for part in ("fit", "estimate")},
        "times as fast": {
            "estimate": round(theirs["estimate"] / mine["estimate"], 1),
            "with fit": round((theirs["fit"] + theirs["estimate"]) / (mine["fit"] + mine["estimate"]), 1),
        },
        "largest difference of a value": {name: round(float(gap), 4) for name, gap in apart.items()},
    }
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
