"""Error of performance estimates without labels under each kind of shift, on a generator whose truth is known.

python -m benchmarks.labels.assumptions --seeds 200

Two classes, 30% of the second; ten normal columns, of which six move with the class, by different amounts, two are
products of others, and two say nothing. In each trial a small gradient boosting is fitted to 3,000 rows and frozen,
10,000 rows are held out, and a batch of 1,600 comes: what accuracy differs from its expectation on so many rows is the
line "knowing P(Y|X)". Covariate shift: two columns move by up to 0.8 sd and one is up to 1.4 times as wide, the label
drawn from P(Y|X) as before. Label shift: 15% to 65% of the second class. Concept shift: what one of the two strongest
columns says is turned round.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from time import process_time

import numpy as np
from scipy import special
from sklearn.ensemble import HistGradientBoostingClassifier

from monitor.domain.held_out import HeldOut
from monitor.domain.performance_estimate import ClassesAssumed, ClassEstimator
from monitor.domain.schema import Schema
from monitor.stats.estimation.confidence import Threshold
from monitor.stats.estimation.expected import expected
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.performance import metric

_COLUMNS = 10
_TRAINING, _HELD_OUT, _BATCH = 3_000, 10_000, 1_600
_MOVE, _WIDER = 0.8, 0.4
_EFFECT = np.array([1.3, 0.9, 0.7, 0.5, 0.4, 0.3])
_PRIOR = 0.3
_NAMES = ("no shift", "covariate shift", "label shift", "concept shift")


@dataclass(frozen=True, eq=False)
class World:
    """P(X | Y) is normal with means ± half of the effects; P(Y | X) follows from it."""

    effect: np.ndarray

    def inputs(self, rows: int, share: float, rng: np.random.Generator) -> np.ndarray:
        side = (rng.random(rows) < share) - 0.5
        x = rng.normal(size=(rows, _COLUMNS))
        x[:, : len(self.effect)] += side[:, None] * self.effect
        return _with_products(x)

    def posterior(self, x: np.ndarray, share: float = _PRIOR) -> np.ndarray:
        return special.expit(x[:, : len(self.effect)] @ self.effect + special.logit(share))


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs, the probability of the second class at each, and labels drawn from it."""

    x: np.ndarray
    p: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, p: np.ndarray, rng: np.random.Generator) -> Batch:
        return cls(x, p, (rng.random(len(p)) < p).astype(np.int64))


def drawn(kind: str, world: World, rows: int, rng: np.random.Generator) -> Batch:
    share = rng.uniform(0.15, 0.65) if kind == "label shift" else _PRIOR
    x = world.inputs(rows, share, rng)
    if kind == "covariate shift":
        x[:, :2] += rng.uniform(-_MOVE, _MOVE, 2)
        x[:, 2] *= 1.0 + rng.uniform(0.0, _WIDER)
        x = _with_products(x)
    if kind == "concept shift":
        world = World(world.effect * np.where(np.arange(len(world.effect)) == rng.integers(2), -1.0, 1.0))
    return Batch.of(x, world.posterior(x, share), rng)


def _with_products(x: np.ndarray) -> np.ndarray:
    x[:, 6], x[:, 7] = x[:, 0] * x[:, 1], x[:, 1] * x[:, 2]
    return x


def trial(seed: int, found: dict, assumed: dict, spent: list[float]) -> None:
    rng = np.random.default_rng([seed, 77])
    world = World(_EFFECT * rng.choice([-1.0, 1.0], _EFFECT.size))
    training, held_out = (drawn("no shift", world, rows, rng) for rows in (_TRAINING, _HELD_OUT))
    model = HistGradientBoostingClassifier(max_iter=25, max_depth=3, random_state=seed).fit(training.x, training.y)
    held_x, held_y = held_out.x, held_out.y
    schema = Schema(features={f"x{i}": "numeric" for i in range(_COLUMNS)})
    kept = HeldOut.fit(_table(held_x), schema, model.predict_proba(held_x), held_y)
    estimator = ClassEstimator.of(kept, LabelShift.fit(kept.scores, kept.target), "bias_corrected")
    threshold = Threshold.fit(kept.scores.astype(np.float64), kept.target)
    before = metric("accuracy", model.predict_proba(held_x), held_y)
    for kind in _NAMES:
        batch = drawn(kind, world, _BATCH, rng)
        scores = model.predict_proba(batch.x)
        truth = metric("accuracy", scores, batch.y)
        begun = process_time()
        shares = estimator.label_shift.estimate(scores)
        rows = _table(batch.x)
        chosen = estimator.assume(rows, scores, scores, shares, rng)
        automatic = chosen.estimate("accuracy")
        spent.append(process_time() - begun)
        ways = {
            "CBPE": estimator.plain,
            "PAPE": estimator.reweighted(rows, rng),
            "CBPE after EM": estimator.corrected(shares),
        }
        each = {
            name: ClassesAssumed(chosen.assumption, (way,), scores, scores).estimate("accuracy")
            for name, way in ways.items()
        }
        known = expected("accuracy", scores, np.column_stack([1.0 - batch.p, batch.p])).value
        found[kind]["knowing P(Y|X)"].append((known - truth, None))
        found[kind]["keep the old number"].append((before - truth, None))
        each["ATC"] = threshold.estimate(scores)
        for name, one in (each | {"automatic": automatic}).items():
            found[kind][name].append((one.value - truth, one.low <= truth <= one.high))
        assumed[kind][chosen.assumption.value] += 1


def _table(x: np.ndarray) -> dict[str, np.ndarray]:
    return {f"x{i}": x[:, i] for i in range(x.shape[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    found: dict = defaultdict(lambda: defaultdict(list))
    assumed: dict = defaultdict(Counter)
    spent: list[float] = []
    for seed in range(options.first, options.first + options.seeds):
        trial(seed, found, assumed, spent)
    table = {
        kind: {
            name: {
                "mean absolute error, points": round(100 * float(np.mean(np.abs([e for e, _ in each]))), 2),
                "covered": None if each[0][1] is None else round(float(np.mean([c for _, c in each])), 3),
            }
            for name, each in names.items()
        }
        | {"assumed": dict(assumed[kind])}
        for kind, names in found.items()
    }
    print(json.dumps(table | {"ms per batch": round(1e3 * float(np.median(spent)), 1)}, indent=1))


if __name__ == "__main__":
    main()
