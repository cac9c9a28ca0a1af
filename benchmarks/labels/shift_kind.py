"""Type of shift: how often right, undecided and wrong, with labels and without.

python -m benchmarks.labels.shift_kind --cases 200

A case: 10 columns, 2 to 4 classes around random means with random shares, a model fitted on 5,000 rows, 10,000
held-out rows, and 20 batches of 2,000 rows after the change. Every second model is multinomial logistic regression, the
others are boosted trees, which give scores that are too sure. Three columns are seen through exp(x), so that nothing is
normal about them. Every batch has its own small displacement of every column, so that batches differ also by
themselves. The question is put as the product puts it: of 5,000 rows spread over the batches, 80% of them labelled, or
none.

- covariate: the rows are tilted, exp(δ·u·x), which leaves P(class | x) exactly as it was; u is a random direction
- label: other class shares, at least δ away in sum of absolute differences
- concept: inputs as ever, and P(class | x) is another one: its logits are turned in a random direction, so far that the
  log loss of the true model of before rises by the share δ
- concept and covariate: as concept, with rows tilted by 0.5
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from time import process_time

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from monitor.domain.shift_kind import KindRule, shift_kind
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.shift_evidence import Compared, Evidence, Labelled, gather

COLUMNS = 10
BATCHES, ROWS = 20, 2000
HELD_OUT = 10_000
TRAINED = 5_000
WANDER = 0.03  # standard deviation of a batch's own displacement, in standard deviations of a row
MOST_ROWS = 5000  # as `monitor.app.explain_shift`
LABELLED = 0.8
SKEWED = 3  # columns seen through exp(x)
TILT = 0.5  # of inputs that move along with a concept
LARGEST = 6.0  # as `monitor.domain.encoding` cuts columns
RULE = KindRule(min_effect=0.03, min_loss_increase=0.1)  # the defaults of `detect`
ANSWERS = ("with labels", "no labels")
OF_LABELS = [f.name for f in fields(Evidence) if f.name.startswith(("loss", "by_", "relation", "effective"))]
MAGNITUDES = {
    "covariate": (0.4, 0.7, 1.0),
    "label": (0.3, 0.6, 0.9),
    "concept": (0.2, 0.4, 0.8),
    "concept and covariate": (0.2, 0.4, 0.8),
}


@dataclass(frozen=True)
class World:
    """x given class k is normal around `means[k]`, (k, d), with variance 1; classes have `shares`."""

    means: np.ndarray
    shares: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> World:
        classes = int(rng.integers(2, 5))
        means = rng.normal(0, 1, (classes, COLUMNS)) * (rng.random(COLUMNS) < 0.5) * 0.8
        return cls(means, rng.dirichlet(np.full(classes, 5.0)))

    def rows(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        classes = rng.choice(len(self.shares), size=n, p=self.shares)
        return self.means[classes] + rng.normal(size=(n, COLUMNS)), classes

    def tilted(self, by: np.ndarray) -> World:
        """With density ∝ p(x)·exp(by·x): the means moved by `by`, and the shares by what that does to each class."""
        logs = np.log(self.shares) + self.means @ by
        shares = np.exp(logs - logs.max())
        return World(self.means + by, shares / shares.sum())

    def logits(self, x: np.ndarray) -> np.ndarray:
        return np.log(self.shares) + x @ self.means.T - np.square(self.means).sum(axis=1) / 2


Stream = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def changed(kind: str, world: World, size: float, rng: np.random.Generator) -> Stream:
    """What rows come after the change."""
    direction = rng.normal(size=COLUMNS)
    direction /= np.linalg.norm(direction)
    if kind == "label":
        while np.abs((shares := rng.dirichlet(np.ones(len(world.shares)))) - world.shares).sum() < size:
            continue
        return World(world.means, shares).rows
    if kind == "covariate":
        return world.tilted(size * direction).rows
    inputs = world.tilted(TILT * direction) if "covariate" in kind else world
    probe, _ = inputs.rows(20_000, rng)
    while (turn := _turned(world, probe, size, rng)) is None:
        continue

    def rows(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, _ = inputs.rows(n, rng)
        return x, (world.logits(x) + x @ turn + rng.gumbel(size=(n, len(world.shares)))).argmax(axis=1)

    return rows


def _turned(world: World, x: np.ndarray, rise: float, rng: np.random.Generator) -> np.ndarray | None:
    """What to add to the logits, in a random direction, so that the loss of the old ones rises by this share."""
    turn = rng.normal(size=(COLUMNS, len(world.shares)))
    old = log_softmax(world.logits(x), axis=1)
    usual = -(np.exp(old) * old).sum(axis=1).mean()

    def missing(length: float) -> float:
        new = softmax(world.logits(x) + length * (x @ turn), axis=1)
        return float(-(new * old).sum(axis=1).mean() - (1 + rise) * usual)

    return turn * brentq(missing, 0.0, 3.0) if missing(3.0) > 0 else None


def case(kind: str, size: float, number: int) -> tuple[str, str, float]:
    """What is said of one case with labels and without, and the seconds of CPU it took."""
    rng = np.random.default_rng([number, int(100 * size), len(kind)])
    world = World.draw(rng)
    trees = HistGradientBoostingClassifier(max_iter=40, early_stopping=False, random_state=0)
    model = trees if number % 2 else LogisticRegression(max_iter=300)

    def sample(rows: Stream, batches: int, wander: float = WANDER) -> tuple[np.ndarray, np.ndarray]:
        parts = [rows(ROWS, rng) for _ in range(batches)]
        x = np.concatenate([x + rng.normal(0, wander, COLUMNS) for x, _ in parts])
        x[:, :SKEWED] = np.minimum(np.exp(x[:, :SKEWED]), LARGEST)
        return x, np.concatenate([y for _, y in parts])

    model.fit(*(part[:TRAINED] for part in sample(world.rows, 3)))
    x0, y0 = sample(world.rows, HELD_OUT // ROWS)
    x1, y1 = sample(changed(kind, world, size, rng), BATCHES)
    before, now = model.predict_proba(x0), model.predict_proba(x1)
    known = rng.random(len(y1)) < LABELLED
    some = np.arange(0, len(x1), BATCHES * ROWS // MOST_ROWS)
    begun = process_time()
    shift = LabelShift.fit(before, y0)
    labelled = Labelled(now[known], y1[known])
    rows = Compared(x0, Labelled(before, y0), x1[some], now[some], labelled, np.arange(COLUMNS))
    evidence, _ = gather(rows, shift, rng)
    with_labels, _ = shift_kind(evidence, RULE)
    without, _ = shift_kind(replace(evidence, labelled=0, **dict.fromkeys(OF_LABELS)), RULE)
    return with_labels.value, without.value, process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    options = parser.parse_args()
    table = {}
    for kind, sizes in MAGNITUDES.items():
        right = "concept" if "concept" in kind else kind
        said: dict[tuple[str, float], Counter[str]] = {(a, s): Counter() for a in ANSWERS for s in sizes}
        seconds = []
        for number in range(options.cases):
            size = sizes[number % len(sizes)]
            *answers, took = case(kind, size, number)
            seconds.append(took)
            for answer, word in zip(ANSWERS, answers, strict=True):
                said[answer, size][word] += 1
        for (answer, size), found in said.items():
            count = sum(found.values())
            row = {"cases": count, "right": found[right], "undecided": found["undecided"], **found}
            row["wrong"] = count - found[right] - found["undecided"]
            table[f"{kind}, {answer}, {size:g}"] = row
            print(f"{kind}, {answer}, {size:g}: {json.dumps(row)}", file=sys.stderr, flush=True)
        print(f"median {np.median(seconds):.2f} s of CPU a case", file=sys.stderr, flush=True)
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
