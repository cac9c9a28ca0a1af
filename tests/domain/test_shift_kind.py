"""The type of a shift: what is said of which numbers, and how often it is right on rows drawn at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm

from monitor.domain.shift import responsible_segments
from monitor.domain.shift_kind import KindRule, ShiftKind, shift_kind
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.shift_evidence import Compared, Evidence, Labelled, gather

RULE = KindRule(min_effect=0.03, min_loss_increase=0.1)
STILL = Evidence(inputs_p=0.4, inputs_effect=0.002, shares_p=0.3, fit_p=0.5, fit_effect=0.0)
MOVED = Evidence(inputs_p=1e-9, inputs_effect=0.1, shares_p=1e-6, fit_p=1e-9, fit_effect=0.08)
LIKE = replace(MOVED, fit_p=0.4, fit_effect=0.001)
LABELS = {"labelled": 1000, "loss_before": 0.5, "effective": 2000.0}


def labels(loss: float, by_inputs: float | None, by_shares: float | None, relation: float = 0.0) -> dict:
    """Of losses with a standard error of 0.01."""
    z = {f"{name}_z": None if by is None else (loss - by) / 0.01 for name, by in
         (("loss", 0.5), ("by_inputs", by_inputs), ("by_shares", by_shares))}  # fmt: skip
    return {**LABELS, **z, "loss": loss, "by_inputs": by_inputs, "by_shares": by_shares, "relation_z": relation}


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        (Evidence(inputs_p=None, inputs_effect=None), ShiftKind.UNDECIDED),
        (STILL, ShiftKind.UNDECIDED),
        (MOVED, ShiftKind.COVARIATE),
        (LIKE, ShiftKind.LABEL),
        (replace(MOVED, fit_p=0.005), ShiftKind.UNDECIDED),
        (replace(MOVED, shares_p=None, fit_p=None, fit_effect=None), ShiftKind.UNDECIDED),  # regression, no labels
        (replace(STILL, **labels(0.5, 0.5, 0.5)), ShiftKind.UNDECIDED),
        (replace(STILL, **labels(0.6, 0.5, 0.5)), ShiftKind.CONCEPT),
        (replace(STILL, **labels(0.54, 0.5, 0.5)), ShiftKind.UNDECIDED),  # surely above, and by too little to count
        (replace(MOVED, **labels(0.6, 0.6, 0.5)), ShiftKind.COVARIATE),
        (replace(MOVED, **labels(0.7, 0.6, 0.5)), ShiftKind.CONCEPT),
        (replace(MOVED, **labels(0.7, None, 0.5)), ShiftKind.UNDECIDED),  # too far away to be explained
        (replace(MOVED, **labels(0.5, 0.6, 0.5)), ShiftKind.UNDECIDED),
        (replace(MOVED, **labels(0.6, 0.6, 0.5, relation=5.0)), ShiftKind.UNDECIDED),
        (replace(LIKE, **labels(0.7, 0.5, 0.7, relation=9.0)), ShiftKind.LABEL),
        (replace(LIKE, **labels(0.7, 0.5, 0.55, relation=9.0)), ShiftKind.CONCEPT),
        (replace(LIKE, **labels(0.6, 0.6, 0.5, relation=-9.0)), ShiftKind.COVARIATE),
        (replace(LIKE, **labels(0.7, 0.6, 0.5, relation=-9.0)), ShiftKind.UNDECIDED),
    ],
)
def test_what_is_said(evidence, kind):
    found, reason = shift_kind(evidence, RULE)
    assert found is kind, reason
    assert reason


maybe = st.none() | st.floats(0, 1)


effects = st.none() | st.floats(-0.5, 0.5)
unlabelled = st.builds(
    Evidence, inputs_p=maybe, inputs_effect=effects, shares_p=maybe, fit_p=maybe, fit_effect=effects,
    labelled=st.integers(0, 99),
)  # fmt: skip


@given(unlabelled)
def test_without_labels_a_concept_is_never_claimed(evidence):
    assert shift_kind(evidence, RULE)[0] is not ShiftKind.CONCEPT


def drawn(n: int, rng: np.random.Generator, *, up: float = 0.3, tilt: float = 0.0, weight: float = 1.0):
    """Two classes around ±1 of the first of four columns; `tilt` moves the second, `weight` turns what x means."""
    y = rng.random(n) < up
    x = rng.normal(size=(n, 4))
    x[:, 0] += np.where(y, 1.0, -1.0)
    x[:, 1] += tilt
    if weight != 1.0:
        y = rng.random(n) < score(x[:, 0] * weight)
    return x, y.astype(np.int64)


def score(x: np.ndarray) -> np.ndarray:
    return expit(2 * x + np.log(0.3 / 0.7))


def told(seed: int, **how: float) -> tuple[ShiftKind, ShiftKind]:
    """With all labels and without any."""
    rng = np.random.default_rng(seed)
    (x0, y0), (x1, y1) = drawn(3000, rng), drawn(3000, rng, **how)
    before, now = (np.column_stack([1 - score(x[:, 0]), score(x[:, 0])]) for x in (x0, x1))
    rows = Compared(x0, Labelled(before, y0), x1, now, Labelled(now, y1), np.arange(4))
    evidence, _ = gather(rows, LabelShift.fit(before, y0), rng)
    without, _ = gather(replace(rows, seen=Labelled(now[:0], y1[:0])), LabelShift.fit(before, y0), rng)
    return shift_kind(evidence, RULE)[0], shift_kind(without, RULE)[0]


@pytest.mark.parametrize(
    ("how", "kind", "unlabelled"),
    [
        ({"tilt": 0.4}, ShiftKind.COVARIATE, ShiftKind.COVARIATE),
        ({"up": 0.6}, ShiftKind.LABEL, ShiftKind.LABEL),
        ({"weight": 0.3}, ShiftKind.CONCEPT, ShiftKind.UNDECIDED),
        ({"weight": 0.3, "tilt": 0.4}, ShiftKind.CONCEPT, ShiftKind.COVARIATE),
        ({}, ShiftKind.UNDECIDED, ShiftKind.UNDECIDED),
    ],
)
def test_it_is_mostly_right(how, kind, unlabelled):
    said = [told(seed, **how) for seed in range(20)]
    assert sum(found is kind for found, _ in said) >= 18  # 20 draws at a chance of 0.98: 18 or more in 99.3%
    assert sum(found is unlabelled for _, found in said) >= 18


def test_importance_weights_explain_the_loss_of_inputs_that_moved_where_it_is_hard():
    """The column that decides moves towards the border: the loss rises, and the relation is as ever."""
    rng = np.random.default_rng(5)
    x0 = rng.normal(1.0, 1.0, (6000, 2))
    x1 = x0[rng.random(6000) < norm.pdf(x0[:, 0], 0.3, 0.8) / norm.pdf(x0[:, 0], 1.0, 1.0) / 3]
    assert len(x1) > 1000

    def labelled(x: np.ndarray) -> Labelled:
        p = expit(2 * x[:, 0])
        return Labelled(np.column_stack([1 - p, p]) ** 2, (rng.random(len(x)) < p).astype(np.int64))  # too sure

    before, now = labelled(x0), labelled(x1)
    rows = Compared(x0, before, x1, now.scores, now, np.arange(2))
    evidence, _ = gather(rows, LabelShift.fit(before.scores, before.target), rng)
    assert evidence.loss is not None
    assert evidence.loss > 1.2 * evidence.loss_before
    assert evidence.by_inputs == pytest.approx(evidence.loss, rel=0.05)
    assert abs(evidence.by_inputs_z) < 3


def test_regression_has_no_class_shares_and_is_told_by_its_errors():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(2, 2000, 3))
    before, now = (Labelled(rows[:, 0], rows[:, 0] + rng.normal(0, 1, 2000)) for rows in x)
    worse = Labelled(now.scores, now.scores + rng.normal(0, 1.5, 2000))
    for seen, kind in ((now, ShiftKind.UNDECIDED), (worse, ShiftKind.CONCEPT)):
        evidence, _ = gather(Compared(x[0], before, x[1], seen.scores, seen, np.arange(3)), None, rng)
        assert evidence.shares_p is None
        assert shift_kind(evidence, RULE)[0] is kind


def test_few_rows_are_a_result():
    empty = Labelled(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    some = Labelled(np.full((200, 2), 0.5), np.zeros(200, dtype=np.int64))
    shift = LabelShift.fit(empty.scores, empty.target)
    rows = Compared(np.zeros((0, 1)), empty, np.zeros((200, 1)), some.scores, some, np.arange(1))
    evidence, _ = gather(rows, shift, np.random.default_rng(0))
    assert shift_kind(evidence, RULE) == (ShiftKind.UNDECIDED, "too few rows to compare")


def test_segments_with_more_than_their_share_come_first():
    ratios = np.array([0.5, 0.5, 4.0, 4.0, 4.0, 1.0])
    found = responsible_segments({"region": ["a", "a", "b", "b", None, "a"]}, ratios)
    assert [(s.value, round(s.rows, 3), round(s.responsible, 3)) for s in found] == [
        ("b", 0.333, 0.667),
        ("", 0.167, 0.333),
    ]
    assert responsible_segments({"region": ["a", "b"]}, np.ones(2)) == ()
