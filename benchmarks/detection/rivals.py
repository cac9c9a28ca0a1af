"""False alarms and delays of the rules that others alarm by, on the streams of `simulate`.

python -m benchmarks.detection.rivals --seeds 10 --first-seed 1000 --families base,heavy,own

Every rule sees the same 90 reference batches, is asked after each batch, and starts afresh after its alarm. Where a
peer's rule is a test and a limit, the test is computed here, once for all rules. Rules that follow a stream of values
are given the batch's column means, which is the kinder choice: row by row they would meet a thousand times as many
occasions to be wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from river.drift import ADWIN
from scipy.stats import kstwo

from benchmarks.contenders import CONTENDERS, python_of
from benchmarks.detection.generator import BATCHES, COLUMNS, DRIFTS, FAMILIES, REFERENCE_BATCHES, Family, World

_LONGEST = 150  # batches after the drift; what is not found by then counts as never
_BINS = 10
_FLOOR = 1e-4  # of a bin's share, as Evidently has it
_FIXED = [f.name for f in FAMILIES if f.sizes[0] == f.sizes[1] and not f.missing and not f.categories]


@dataclass(frozen=True, eq=False)
class Facts:
    """One batch beside the reference, each array of shape (columns,)."""

    means: np.ndarray
    ks: np.ndarray  # whether Kolmogorov–Smirnov rejects at 5%
    ks_bonferroni: np.ndarray  # at 5% over the number of columns
    wasserstein: np.ndarray  # in reference standard deviations
    psi: np.ndarray


class Comparison:
    """The reference of one world, prepared for `facts`. Every batch must have the same number of rows."""

    def __init__(self, world: World) -> None:
        tables = [world.table(t) for t in range(REFERENCE_BATCHES)]
        self.means = np.stack([table.mean(axis=0) for table in tables])
        self._sorted = np.sort(np.concatenate(tables).T, axis=1)
        self._sd = self._sorted.std(axis=1)
        self._inner = np.quantile(self._sorted, np.linspace(0, 1, _BINS + 1)[1:-1], axis=1)  # (bins − 1, columns)
        rows, n = self._sorted.shape[1], len(tables[0])
        effective = round(rows * n / (rows + n))  # as scipy's ks_2samp has it for large samples
        self._limit = kstwo.isf(0.05, effective)
        self._strict = kstwo.isf(0.05 / COLUMNS, effective)

    def facts(self, table: np.ndarray) -> Facts:
        n = len(table)
        current = np.sort(table.T, axis=1)
        blocks = self._sorted.reshape(COLUMNS, n, -1)  # the reference has a whole number of rows per current one
        below = np.stack([np.searchsorted(r, c, "right") for r, c in zip(self._sorted, current, strict=True)])
        share = below / self._sorted.shape[1]
        steps = np.arange(n + 1) / n
        distance = np.maximum(steps[1:] - share, share - steps[:-1]).max(axis=1)
        counts = np.stack([np.searchsorted(c, inner) for c, inner in zip(current, self._inner.T, strict=True)])
        shares = np.diff(counts, axis=1, prepend=0, append=n) / n
        shares = np.maximum(shares, _FLOOR)
        return Facts(
            means=table.mean(axis=0),
            ks=distance > self._limit,
            ks_bonferroni=distance > self._strict,
            wasserstein=np.abs(blocks - current[:, :, None]).mean(axis=(1, 2)) / self._sd,
            psi=((shares - 1 / _BINS) * np.log(shares * _BINS)).sum(axis=1),
        )


def _three_sigma(means: np.ndarray) -> Callable[[Facts], bool]:
    middle, reach = means.mean(axis=0), 3 * means.std(axis=0, ddof=1)
    return lambda facts: bool((np.abs(facts.means - middle) > reach).any())


def rules(means: np.ndarray) -> dict[str, Callable[[Facts], bool]]:
    return {
        "Evidently: half the columns by KS": lambda f: bool(f.ks.mean() >= 0.5),
        "Evidently: half the columns by Wasserstein": lambda f: bool((f.wasserstein >= 0.1).mean() >= 0.5),
        "KS, Bonferroni": lambda f: bool(f.ks_bonferroni.any()),
        "PSI > 0.2 in any column": lambda f: bool((f.psi > 0.2).any()),
        "column means ± 3 sd": _three_sigma(means),
    }


def run(family: Family, seed: int) -> dict[str, dict]:
    """Alarms on the clean stream, and the delay of every drift that is found, by rule."""
    world = World(family=family, seed=seed)
    comparison = Comparison(world)
    asked = rules(comparison.means)
    found: dict[str, dict] = {name: {"alarms": 0} for name in asked}
    means = {"reference": comparison.means}
    for name, drift, days in [("clean", None, range(REFERENCE_BATCHES, REFERENCE_BATCHES + BATCHES))] + [
        (drift.name, drift, range(drift.at, drift.at + _LONGEST)) for drift in DRIFTS
    ]:
        batches = [comparison.facts(world.table(t, drift)) for t in days]
        means[name] = np.stack([batch.means for batch in batches])
        for rule, alarms in asked.items():
            raised = np.flatnonzero([alarms(batch) for batch in batches])
            if drift is None:
                found[rule]["alarms"] = len(raised)
            elif len(raised):
                found[rule][name] = int(raised[0]) + 1
    first = DRIFTS[0].at - REFERENCE_BATCHES
    return {**found, "ADWIN of river": _adwin(means, first), "MMD online of alibi-detect": _alibi(means, first)}


class _Adwins:
    """One per column with river's defaults; an alarm of any of them starts all afresh."""

    def __init__(self) -> None:
        self._columns = [ADWIN() for _ in range(COLUMNS)]

    def alarms(self, batches: np.ndarray) -> list[int]:
        """Numbers of the batches, of shape (batches, columns), at which one was raised."""
        raised = []
        for k, batch in enumerate(batches):
            for column, value in zip(self._columns, batch, strict=True):
                column.update(float(value))
            if any(column.drift_detected for column in self._columns):
                raised.append(k)
                self._columns = [ADWIN() for _ in range(COLUMNS)]
        return raised


def _adwin(means: dict[str, np.ndarray], first: int) -> dict:
    followed = _Adwins()
    followed.alarms(means["reference"])
    found = {"alarms": len(followed.alarms(means["clean"]))}
    for drift in DRIFTS:
        followed = _Adwins()
        followed.alarms(np.concatenate([means["reference"], means["clean"][:first]]))
        if raised := followed.alarms(means[drift.name]):
            found[drift.name] = raised[0] + 1
    return found


def _alibi(means: dict[str, np.ndarray], first: int) -> dict:
    """In the environment of the peer."""
    command = [str(python_of(CONTENDERS["alibi-detect"])), "-m", "benchmarks.peers.alibi_detect.online"]
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, **means)
        file.flush()
        done = subprocess.run(
            [*command, file.name, str(first)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def summarise(results: list[dict[str, dict]]) -> dict[str, dict]:
    table: dict[str, dict] = {}
    for name in results[0]:
        alarms = sum(r[name]["alarms"] for r in results)
        per_500 = 500 / (BATCHES * len(results))
        table[name] = {
            "false_alarms_per_500": round(alarms * per_500, 2),
            "standard_error": round(float(np.sqrt(alarms + 0.25)) * per_500, 2),
        }
        for drift in DRIFTS:
            delays = [r[name].get(drift.name, np.inf) for r in results]
            missed = round(float(np.mean(np.isinf(delays))), 2)
            table[name][drift.name] = {"median": float(np.median(delays)), "never": missed}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--families", default=",".join(_FIXED), help="those with batches of one size")
    options = parser.parse_args()
    table = {}
    for family in [f for f in FAMILIES if f.name in options.families.split(",") and f.name in _FIXED]:
        begun = perf_counter()
        results = [run(family, options.first_seed + k) for k in range(options.seeds)]
        table[family.name] = summarise(results)
        told = json.dumps(table[family.name], ensure_ascii=False, indent=1)
        print(f"{family.name} ({perf_counter() - begun:.0f} s): {told}", file=sys.stderr)
    print(json.dumps(table, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
