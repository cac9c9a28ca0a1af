"""The operator's metric and the calibration: neither is surely worse than allowed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monitor.domain.checks.comparison import Answers, Comparison
from monitor.domain.gate import MIN_ROWS, Check, Finding
from monitor.stats.calibration_error import calibration_error
from monitor.stats.performance import higher_is_better, metric
from monitor.stats.resampling import lower_bound

_MATRIX = 2  # dimensions of scores of classes

Badness = Callable[[Answers], float]


def metric_holds(seen: Comparison, name: str, margin: float, rng: np.random.Generator) -> Check:
    """Fails when the metric is worse by more than `margin` of what the champion's lacks to be perfect, and surely so.

    A metric of which more is better lacks 1 − value, another one its value. Sure: the 5% bound of the excess over
    bootstrap samples of rows is above 0. Undefined values (a ranking with one kind of rows) pass.
    """
    better = higher_is_better(name)

    def lacking(answers: Answers) -> float:
        value = metric(name, answers.scores, answers.target, positive=answers.positive)
        return 1.0 - value if better else value

    def allowed(champion: float) -> float:
        return champion * (1.0 + margin)

    def shown(lack: float) -> float:
        return 1.0 - lack if better else lack

    return _held(seen, f"metric {name}", lacking, allowed, rng, shown=shown)


def calibration_holds(seen: Comparison, increase: float, rng: np.random.Generator) -> list[Check]:
    """Fails when the calibration error is above the champion's by more than `increase`, and surely so.

    None for regression.
    """
    if seen.candidate.scores.ndim < _MATRIX:
        return []

    def error(answers: Answers) -> float:
        return calibration_error(answers.scores, answers.target)

    return [_held(seen, "calibration error", error, lambda champion: champion + increase, rng)]


def _held(
    seen: Comparison,
    name: str,
    badness: Badness,
    allowed: Callable[[float], float],
    rng: np.random.Generator,
    *,
    shown: Callable[[float], float] = lambda value: value,
) -> Check:
    candidate, champion = badness(seen.candidate), badness(seen.champion)
    limit = allowed(champion)
    failed = seen.rows >= MIN_ROWS and candidate > limit and _surely(seen, badness, allowed, rng)
    values = {"candidate": shown(candidate), "champion": shown(champion), "limit": shown(limit)}
    defined = {key: value for key, value in values.items() if np.isfinite(value)}
    said = " ".join(f"{key} {value:.4g}" for key, value in defined.items())
    return Check(
        name=name,
        finding=Finding.FAILED if failed else Finding.PASSED,
        rows=seen.rows,
        detail=f"{name}: {said or 'not defined'}" + (", surely worse than allowed" if failed else ""),
        **defined,
    )


def _surely(seen: Comparison, badness: Badness, allowed: Callable[[float], float], rng: np.random.Generator) -> bool:
    def excess(rows: np.ndarray) -> float:
        return badness(seen.candidate.at(rows)) - allowed(badness(seen.champion.at(rows)))

    return lower_bound(excess, seen.rows, rng) > 0
