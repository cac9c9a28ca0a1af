"""Selections on request: what each keeps or weighs, and when it refuses."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.domain.candidates import select
from monitor.domain.checks.comparison import Answers
from monitor.domain.selection.curation import out_of_range, repeated, suspected
from monitor.domain.selection.importance import effective_rows
from monitor.domain.selection.own import as_selection
from monitor.errors import DataError
from monitor.stats.losses import log_loss
from tests.domain.selection.pools import SCHEMA, T0, pool, table


def test_since_the_change_only():
    chosen = select("since_change", pool(500, 200, change=T0 + timedelta(hours=350)))
    assert chosen.rows.tolist() == list(range(350, 500))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "no change is known"),
        ({"change": T0, "times": None}, "needs `schema.timestamp`"),
        ({"change": T0 + timedelta(hours=401)}, "need at least 100 rows for training since the change, have 99"),
    ],
)
def test_a_change_that_leaves_too_little_is_refused(changes, why):
    with pytest.raises(DataError, match=why):
        select("since_change", pool(500, 200, **changes))


def test_importance_weighs_towards_the_current_rows():
    chosen = select("importance", pool(2000, 500, current=table(800, seed=1, shift=0.5)))
    x = table(2000).column("x").to_numpy()
    assert np.average(x, weights=chosen.weights) == pytest.approx(0.5, abs=0.12)
    assert np.mean(x) == pytest.approx(0.0, abs=0.06)
    assert 0.5 < chosen.facts["effective_rows"] / 2000 < 0.95  # exp(−0.5²) = 0.78 for this shift


@pytest.mark.parametrize(
    ("current", "why"),
    [
        (None, "no current rows"),
        (table(5), "5 current rows are too few"),
        (table(800, seed=1, shift=4.0), r"effective sample size \d+ of 2000 rows \(\d\.\d%\), need 10%"),
    ],
)
def test_importance_is_refused_when_rows_like_the_current_ones_hardly_occur(current, why):
    with pytest.raises(DataError, match=why):
        select("importance", pool(2000, 500, current=current))


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(0.0, 1e6, allow_subnormal=False)))
def test_effective_rows_are_between_one_and_all(weights):
    effective = effective_rows(weights)
    assert effective <= len(weights) * (1 + 1e-9)
    assert effective >= 1 - 1e-9 or not weights.any() or weights.max() < 1e-150
    assert effective_rows(np.ones(len(weights))) == pytest.approx(len(weights))


def test_a_prior_gives_each_class_its_share():
    chosen = select("prior", pool(400, 200, target=np.arange(400) % 4 // 3, prior={"a": 0.4, "b": 0.6}))
    share = chosen.weights[np.arange(400) % 4 == 3].sum() / chosen.weights.sum()
    assert share == pytest.approx(0.6)
    assert chosen.facts["effective_rows"] == pytest.approx(400 / (0.4**2 / 0.75 + 0.6**2 / 0.25))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "not estimated"),
        ({"classes": (), "target": np.zeros(10)}, "no class shares"),
        ({"prior": {"a": 0.9, "b": 0.1}, "target": np.zeros(10, dtype=int)}, "class 'b' is estimated at 10.0%"),
    ],
)
def test_a_prior_that_is_not_known_is_refused(changes, why):
    with pytest.raises(DataError, match=why):
        select("prior", pool(10, 5, **changes))


def test_replay_draws_uniformly_from_the_old_rows():
    counts = np.zeros(1000)
    for seed in range(60):
        chosen = select("replay", pool(1000, 400, rng=np.random.default_rng(seed), table=table(1000)))
        assert (np.diff(chosen.rows) > 0).all()
        assert chosen.rows[-200:].tolist() == list(range(800, 1000))
        assert chosen.facts == {"replayed": 200.0}
        counts[chosen.rows] += 1
    old = counts[:800] / 60
    assert old.mean() == pytest.approx(0.25)
    assert abs(old[:400].mean() - old[400:].mean()) < 0.02
    assert len(select("replay", pool(100, 400)).rows) == 100  # not more rows than there are


def test_a_repeated_row_is_left_out_but_for_the_last():
    rows = table(6)
    twice = pa.concat_tables([rows.slice(0, 3), rows.slice(1, 2), rows.slice(3, 3)])
    target = np.array([0, 1, 0, 1, 1, 0, 0, 1])  # the second copy of row 2 has another label
    assert repeated(twice, SCHEMA, target).tolist() == [False, True] + [False] * 6


def test_a_repeated_row_at_another_time_stays():
    rows = pa.concat_tables([table(3), table(3).set_column(1, "at", table(6).column("at").slice(3))])
    assert not repeated(rows, SCHEMA, np.zeros(6, dtype=int)).any()


def test_values_far_outside_the_others_are_left_out_and_heavy_tails_are_not():
    rng = np.random.default_rng(0)
    x = rng.standard_t(5, 1000)
    x[7], x[8], x[9] = 1e6, -1e6, np.nan
    rows = table(1000).set_column(2, "x", pa.array(x))
    mask = out_of_range(rows, SCHEMA)
    assert mask[[7, 8]].all() and not mask[9]
    assert mask.sum() <= 4


def test_labels_that_models_know_better_are_suspected():
    rng = np.random.default_rng(1)
    true = rng.integers(0, 3, 600)
    logits = 3.0 * np.eye(3)[true] + rng.normal(0, 1, (600, 3))
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = rng.random(600) < 0.1
    target = np.where(wrong, (true + 1) % 3, true)
    found = suspected(Answers(scores, target, log_loss(scores, target)), ("a", "b", "c"))
    assert found[wrong].mean() > 0.6
    assert found[~wrong].mean() < 0.03


def test_values_with_a_far_larger_error_than_usual_are_suspected():
    losses = np.abs(np.random.default_rng(2).normal(0, 1, 500))
    losses[3] = 20.0
    found = suspected(Answers(losses, losses, losses), ())
    assert found[3] and found.sum() <= 4


def curated_pool(wrong: int):
    """`wrong` labels that models are sure are others."""
    n = 200
    target = np.arange(n) % 2
    scores = np.where(np.arange(2) == target[:, None], 0.9, 0.1)
    scores[:wrong] = scores[:wrong, ::-1]
    return pool(n, 100, cross_validated=lambda: Answers(scores, target, log_loss(scores, target)))


def test_curated_rows_are_counted_by_reason():
    chosen = select("curated", curated_pool(20))
    assert chosen.rows.tolist() == list(range(20, 200))
    assert chosen.facts == {"duplicates": 0.0, "out_of_range": 0.0, "suspected_labels": 20.0}


def test_curation_that_would_leave_little_is_refused():
    rows = (
        table(200).set_column(2, "x", pa.array([0.0] * 200)).set_column(1, "at", table(1).column("at").take([0] * 200))
    )
    with pytest.raises(DataError, match="of 200 rows would be left out: duplicates 1"):
        select("curated", pool(200, 100, table=rows, cross_validated=curated_pool(0).cross_validated))


@pytest.mark.parametrize(
    ("answer", "rows", "weights"),
    [
        ([True, False, True], [0, 2], None),
        ([2, 0, 2], [0, 2], None),
        ([0.5, 0.0, 2.0], [0, 2], [0.5, 2.0]),
    ],
)
def test_an_own_selection_is_booleans_positions_or_weights(answer, rows, weights):
    chosen = as_selection(answer, 3)
    assert chosen.rows.tolist() == rows
    assert (None if chosen.weights is None else chosen.weights.tolist()) == weights


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "booleans, positions or weights"),
        ([[1]], "booleans, positions or weights"),
        (["a"], "booleans, positions or weights"),
        ([True], "1 values for 3 rows"),
        ([3], r"position 3 is outside 0\.\.2"),
        ([-1], "position -1 is outside"),
        ([1.0, -1.0, 0.0], "negative or not finite"),
        ([1.0, np.nan, 0.0], "negative or not finite"),
        ([False] * 3, "no row is left"),
    ],
)
def test_an_own_selection_that_is_none_says_why(answer, why):
    with pytest.raises(DataError, match=why):
        as_selection(answer, 3)
