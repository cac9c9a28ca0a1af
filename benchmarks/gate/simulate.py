"""`python -m benchmarks.gate.simulate`: how often the gate is wrong, and how soon `strict` tells, on drawn losses.

On a row both lose about as much as the row is hard; the difference of their losses varies by 0.4 from row to row, and
its mean by 0.02 from batch to batch. Half a minute on one core.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitor.domain.checks.comparison import Answers, Comparison
from monitor.domain.checks.loss import not_inferior
from monitor.domain.checks.proof import proven
from monitor.domain.checks.segments import per_segment
from monitor.domain.gate import Finding

ROWS, RUNS = 200, 400
SPREAD = 0.4  # of the difference of two losses on one row
SHOCK = 0.02  # of its mean on one batch


def drawn(rng: np.random.Generator, gain: float, batches: int, segments: int = 0) -> Comparison:
    """The candidate loses less by `gain`, on average; the champion's mean loss is 1."""
    number = np.repeat(np.arange(batches), ROWS)
    champion = rng.gamma(4.0, 0.25, len(number))
    tails = rng.standard_t(5, len(number)) / np.sqrt(5 / 3)  # of unit variance, with far values
    difference = gain + SPREAD * tails + rng.normal(0.0, SHOCK, batches)[number]
    levels = {"segment": rng.integers(0, segments, len(number)).astype(object)} if segments else {}
    return Comparison(_answers(champion - difference), _answers(champion), number, levels)


def _answers(losses: npt.NDArray[np.float64]) -> Answers:
    return Answers(losses, np.zeros_like(losses), losses)


def strict(rng: np.random.Generator) -> None:
    print("strict, margin 0: promoted / rejected of 100 candidates")
    gains = (0.0, 0.02, 0.05, 0.1, -0.05)
    print("batches  " + "".join(f"gain {gain:+.2f}  " for gain in gains))
    for batches in (5, 8, 12, 16, 24, 40):
        cells = []
        for gain in gains:
            found = [proven(drawn(rng, gain, batches), 0.0, candidates=1).finding for _ in range(RUNS)]
            shares = (100 * found.count(f) / RUNS for f in (Finding.PASSED, Finding.FAILED))
            cells.append("{:4.1f} / {:4.1f}".format(*shares))
        print(f"{batches:7d}  " + "  ".join(cells))


def segments(rng: np.random.Generator) -> None:
    """Two held-out batches; the candidate equals the champion everywhere."""
    print(
        "\nequal candidates refused of 100 on two batches, margin 2%: for a mean above the limit, and when it is sure"
    )
    for count in (1, 4, 7, 12):
        seen = [per_segment(drawn(rng, 0.0, 2, count), 0.02) for _ in range(RUNS)]
        on_means = sum(any((c.candidate or 0.0) > (c.limit or 0.0) for c in checks) for checks in seen)
        sure = sum(any(c.finding is Finding.FAILED for c in checks) for checks in seen)
        print(f"{count:3d} segments  {100 * on_means / RUNS:5.1f}  {100 * sure / RUNS:5.1f}")
    loss = [not_inferior(drawn(rng, 0.0, 2), 0.02).finding for _ in range(RUNS)]
    print(f"       loss  {100 * loss.count(Finding.FAILED) / RUNS:5.1f}")


def main() -> None:
    rng = np.random.default_rng(20240607)
    strict(rng)
    segments(rng)


if __name__ == "__main__":
    main()
