"""What each check of the gate says, and what follows from the checks together."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from monitor.app.training import gate_rule
from monitor.config.retraining import GateConfig
from monitor.domain.checks.comparison import Answers, Comparison
from monitor.domain.checks.cost import latency_holds, size_holds
from monitor.domain.checks.loss import not_inferior
from monitor.domain.checks.quality import calibration_holds, metric_holds
from monitor.domain.checks.segments import per_segment
from monitor.domain.gate import Check, Finding, GateKind, Outcome, conclude

RULE = gate_rule(GateConfig())
PASSED = Check(name="loss", finding=Finding.PASSED, detail="fine")
FAILED = Check(name="latency", finding=Finding.FAILED, detail="slow")
UNDECIDED = Check(name="proof", finding=Finding.UNDECIDED, detail="who knows")


def compared(candidate, champion, *, segments=None, batches=None) -> Comparison:
    """Of a regression whose true values are all 0."""

    def answers(losses) -> Answers:
        losses = np.asarray(losses, dtype=float)
        return Answers(losses, np.zeros(len(losses)), losses)

    n = len(candidate)
    return Comparison(
        answers(candidate),
        answers(champion),
        np.zeros(n, dtype=int) if batches is None else np.asarray(batches),
        {name: np.asarray(levels, dtype=object) for name, levels in (segments or {}).items()},
    )


@pytest.mark.parametrize(
    ("champion", "candidate", "rows", "finding"),
    [
        (0.50, 0.40, 100, Finding.PASSED),
        (0.50, 0.51, 100, Finding.PASSED),  # within the margin: fresher rows at no loss
        (0.50, 0.5101, 100, Finding.FAILED),
        (0.50, 0.40, 29, Finding.UNDECIDED),  # too few rows to tell
        (0.0, 0.0, 100, Finding.PASSED),
        (0.0, 0.1, 100, Finding.FAILED),
        (0.5, math.nan, 100, Finding.FAILED),
    ],
)
def test_non_inferiority(champion, candidate, rows, finding):
    check = not_inferior(compared([candidate] * rows, [champion] * rows), 0.02)
    assert check.finding is finding
    assert check.rows == rows


@pytest.mark.parametrize(
    ("checks", "outcome", "reason"),
    [
        ([], Outcome.PROMOTE, "no champion yet"),
        ([PASSED], Outcome.PROMOTE, "fine"),
        ([PASSED, FAILED], Outcome.REJECT, "slow"),
        ([UNDECIDED, FAILED], Outcome.REJECT, "slow"),
        ([UNDECIDED, PASSED], Outcome.KEEP, "who knows"),
        ([FAILED] * 4, Outcome.REJECT, "slow; slow; and 2 more"),
    ],
)
def test_one_failed_check_rejects_and_doubt_keeps(checks, outcome, reason):
    judgement = conclude(RULE, checks)
    assert (judgement.outcome, judgement.reason) == (outcome, reason)
    assert judgement.checks == tuple(checks)


def test_without_the_gate_everything_is_measured_and_promoted():
    judgement = conclude(replace(RULE, kind=GateKind.OFF), [FAILED])
    assert (judgement.outcome, judgement.checks) == (Outcome.PROMOTE, (FAILED,))


def test_a_check_is_kept_as_it_is():
    check = Check(name="x", finding=Finding.FAILED, candidate=1.0, champion=2.0, limit=3.0, rows=4, detail="5")
    assert Check.from_dict(check.to_dict()) == check


def test_better_on_average_and_surely_worse_on_one_segment_is_named():
    rng = np.random.default_rng(1)
    level = np.array(["north", "south", "east", "west"])[np.arange(400) % 4]
    champion = rng.gamma(4.0, 0.25, 400)
    candidate = champion * np.where(level == "south", 1.5, 0.5)
    checks = per_segment(compared(candidate, champion, segments={"side": level}), 0.02)
    assert not_inferior(compared(candidate, champion), 0.02).finding is Finding.PASSED
    assert [check.name for check in checks if check.finding is Finding.FAILED] == ["segment side=south"]
    assert checks[0].candidate > checks[0].limit
    assert len(checks) == 4


def test_an_equal_candidate_is_refused_for_a_segment_in_at_most_five_percent():
    """Twelve segments of about 40 rows: on their means alone, nearly every such candidate would be refused."""
    rng, refused, on_means = np.random.default_rng(2), 0, 0
    for _ in range(400):
        shared = rng.gamma(2.0, 0.5, 480)
        candidate, champion = shared + rng.gamma(1.0, 0.2, 480), shared + rng.gamma(1.0, 0.2, 480)
        checks = per_segment(compared(candidate, champion, segments={"s": rng.integers(0, 12, 480)}), 0.0)
        refused += any(check.finding is Finding.FAILED for check in checks)
        on_means += any(check.candidate > check.limit for check in checks)
    assert refused <= 34  # for 5% of 400, holds with probability 0.999
    assert on_means > 380


def test_small_segments_are_one_and_too_small_ones_say_nothing():
    level = np.array(["big"] * 60 + [f"small {i}" for i in range(35)] + ["x"] * 5)
    checks = per_segment(compared([1.0] * 100, [1.0] * 100, segments={"s": level}), 0.0)
    assert {check.name: check.rows for check in checks} == {"segment s=big": 60, "segment s=all others": 40}
    few = compared([9.0] * 20, [1.0] * 20, segments={"s": ["a"] * 20})
    assert per_segment(few, 0.0) == []


def classified(right: float, n: int, rng: np.random.Generator, *, confidence: float = 0.8) -> Answers:
    hits = rng.random(n) < right
    target = rng.integers(0, 2, n)
    said = np.where(hits, target, 1 - target)
    scores = np.where(np.arange(2) == said[:, None], confidence, 1 - confidence)
    losses = -np.log(scores[np.arange(n), target])
    return Answers(scores, target, losses, positive=1)


def both(candidate: Answers, champion: Answers) -> Comparison:
    return Comparison(candidate, champion, np.zeros(len(candidate.target), dtype=int), {})


@pytest.mark.parametrize(
    ("right", "n", "finding"),
    [(0.65, 400, Finding.FAILED), (0.79, 400, Finding.PASSED), (0.60, 29, Finding.PASSED), (0.95, 400, Finding.PASSED)],
)
def test_the_metric_refuses_what_is_surely_worse(right, n, finding):
    rng = np.random.default_rng(3)
    seen = both(classified(right, n, rng), classified(0.8, n, rng))
    check = metric_holds(seen, "accuracy", 0.02, rng)
    assert check.finding is finding
    assert check.limit == pytest.approx(1 - 1.02 * (1 - check.champion))


def test_an_undefined_metric_refuses_nothing():
    one_kind = Answers(np.full((50, 2), 0.5), np.zeros(50, dtype=int), np.zeros(50), positive=1)
    check = metric_holds(both(one_kind, one_kind), "roc_auc", 0.02, np.random.default_rng(0))
    assert (check.finding, check.candidate, check.limit) == (Finding.PASSED, None, None)


def test_probabilities_that_promise_too_much_are_refused():
    rng = np.random.default_rng(4)
    honest, boastful = classified(0.8, 600, rng), classified(0.8, 600, rng, confidence=0.999)
    (check,) = calibration_holds(both(boastful, honest), 0.05, rng)
    assert check.finding is Finding.FAILED
    (check,) = calibration_holds(both(honest, boastful), 0.05, rng)
    assert check.finding is Finding.PASSED
    assert calibration_holds(compared([1.0] * 40, [1.0] * 40), 0.05, rng) == []


@pytest.mark.parametrize(
    ("candidate", "champion", "finding"),
    [(0.014, 0.010, Finding.PASSED), (0.016, 0.010, Finding.FAILED), (0.0009, 0.0001, Finding.PASSED)],
)
def test_latency_is_a_ratio_and_what_nobody_notices_does_not_count(candidate, champion, finding):
    assert latency_holds(candidate, champion, 1.5, rows=1000).finding is finding


def test_size_is_a_ratio():
    assert size_holds(1000, 100, 10.0).finding is Finding.PASSED
    assert size_holds(1001, 100, 10.0).finding is Finding.FAILED
