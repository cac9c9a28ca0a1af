"""Class shares by linear equations: known shares come back, the methods agree where they must, intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from monitor.stats.calibration import softmax
from monitor.stats.label_shift import bbse, confusion_matrix
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.label_shift_linear import bound, regularised, solve

PRIOR = np.array([0.5, 0.3, 0.2])
SHARES = np.array([0.2, 0.3, 0.5])
CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
METHODS = ("bbse", "bbse_soft", "rlls")


def drawn(rng: np.random.Generator, shares: np.ndarray, rows: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of an overconfident and biased model, and labels."""
    labels = rng.choice(3, rows, p=shares)
    x = CENTRES[labels] + noise * rng.normal(size=(rows, 2))
    true = np.log(PRIOR) - 0.5 * np.square(x[:, None, :] - CENTRES).sum(axis=2)
    return softmax(2.0 * true + np.array([0.0, 0.5, -0.5])), labels


@pytest.mark.parametrize("method", METHODS)
def test_simulated_label_shift_is_recovered(method):
    rng = np.random.default_rng(0)
    seen = LabelShift.fit(*drawn(rng, PRIOR, 20_000)).estimate(drawn(rng, SHARES, 20_000)[0], method)
    assert seen.share == pytest.approx(SHARES, abs=0.03)
    assert seen.shift_p < 1e-10
    assert seen.fit_p > 0.001


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_label_shift_is_told(method):
    rng = np.random.default_rng(1)
    shift = LabelShift.fit(*drawn(rng, PRIOR, 3000))
    assert shift.estimate(drawn(rng, PRIOR, 3000, noise=2.0)[0], method).fit_p < 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_intervals_and_both_tests_keep_their_level(method):
    rng = np.random.default_rng(2)
    inside, misfit, moved, tried = np.zeros(3), 0, 0, 200
    for _ in range(tried):
        shift = LabelShift.fit(*drawn(rng, PRIOR, 800))
        seen = shift.estimate(drawn(rng, SHARES, 400)[0], method)
        inside += (seen.low <= SHARES) & (seen.high >= SHARES)
        misfit += seen.fit_p < 0.05
        moved += shift.estimate(drawn(rng, PRIOR, 400)[0], method).shift_p < 0.05
    # 95% of 200; at most 178 has probability < 0.001. At level 5%, more than 21 has probability < 0.001.
    assert (inside >= 179).all(), inside
    assert misfit <= 21
    assert moved <= 21


def test_hard_is_what_counts_alone_give_and_soft_agrees_on_certain_scores():
    rng = np.random.default_rng(3)
    (held_out, target), (batch, _) = drawn(rng, PRIOR, 2000), drawn(rng, SHARES, 500)
    counted = bbse(
        confusion_matrix(held_out.argmax(axis=1), target, 3), np.bincount(batch.argmax(axis=1), minlength=3), 2000
    )
    seen = LabelShift.fit(held_out, target).estimate(batch, "bbse")
    assert seen.share == pytest.approx(counted.share, abs=1e-12)
    assert seen.low == pytest.approx(counted.low, abs=1e-9)
    assert seen.high == pytest.approx(counted.high, abs=1e-9)
    certain, now = np.eye(3)[held_out.argmax(axis=1)], np.eye(3)[batch.argmax(axis=1)]
    soft, hard = (LabelShift.fit(certain, target).estimate(now, method) for method in ("bbse_soft", "bbse"))
    assert soft.share == pytest.approx(hard.share, abs=1e-9)
    assert soft.high == pytest.approx(hard.high, abs=1e-9)


def test_soft_is_the_solution_of_its_equations():
    rng = np.random.default_rng(4)
    (held_out, target), (batch, _) = drawn(rng, PRIOR, 500), drawn(rng, SHARES, 300)
    columns = np.column_stack([held_out[target == k].mean(axis=0) for k in range(3)])
    assert solve("bbse_soft", held_out, target, batch).raw == pytest.approx(
        np.linalg.solve(columns, batch.mean(axis=0))
    )


@pytest.mark.parametrize("method", METHODS)
def test_influence_is_what_leaving_a_row_out_changes(method):
    rng = np.random.default_rng(5)
    (held_out, target), (batch, _) = drawn(rng, PRIOR, 600), drawn(rng, SHARES, 400)
    found = solve(method, held_out, target, batch)
    assert found.of_batch.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert found.of_held_out.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    for row in (0, 7, 100):
        without = solve(method, held_out, target, np.delete(batch, row, axis=0)).raw
        assert found.raw - without == pytest.approx(found.of_batch[row] / 400, abs=2e-5)
        without = solve(method, np.delete(held_out, row, axis=0), np.delete(target, row), batch).raw
        assert found.raw - without == pytest.approx(found.of_held_out[row] / 600, abs=5e-5)


def test_the_bound_is_that_of_the_paper():
    # 3·(2·log(400)/(3·2000) + √(2·log(400)/2000)) with k = 10, δ = 0.05
    assert bound(10, 2000) == pytest.approx(3 * (2 * 5.991464547 / 6000 + np.sqrt(2 * 5.991464547 / 2000)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.floats(0.001, 0.3))
def test_regularised_weights_are_the_best_another_solver_finds(seed, classes, scale):
    rng = np.random.default_rng(seed)
    joint = rng.dirichlet(np.full(classes, 1.0), classes).T / classes * 0.5 + np.eye(classes) / classes * 0.5
    mean = rng.dirichlet(np.full(classes, 2.0))

    def cost(weight: np.ndarray) -> float:
        return np.linalg.norm(joint @ weight - mean) + scale * np.linalg.norm(weight - 1.0)

    found = regularised(joint, mean, scale)
    assert (found >= 0).all()
    starts = [found + 0.05 * rng.random(classes), np.maximum(np.linalg.solve(joint, mean), 0.0), np.full(classes, 1.1)]
    other = min(optimize.minimize(cost, start, bounds=[(0, None)] * classes, method="L-BFGS-B").fun for start in starts)
    assert cost(found) <= other + 1e-5
    assert cost(found) <= cost(np.ones(classes))


def test_regularisation_goes_from_solving_the_equations_to_weights_of_one():
    joint = np.array([[0.4, 0.05, 0.03], [0.06, 0.2, 0.02], [0.04, 0.05, 0.15]])
    mean = joint @ np.array([0.5, 1.2, 1.7])
    singular = np.linalg.svd(joint, compute_uv=False)
    assert regularised(joint, mean, 0.9 * singular[-1]) == pytest.approx([0.5, 1.2, 1.7], abs=1e-6)
    assert regularised(joint, mean, 1.1 * singular[0]) == pytest.approx(np.ones(3), abs=1e-6)
    away = [np.linalg.norm(regularised(joint, mean, scale) - 1.0) for scale in np.linspace(0.0, 0.5, 12)]
    assert (np.diff(away) <= 1e-3).all()


def test_where_shares_are_cut_at_0_every_interval_holds_its_share():
    held_out, target = drawn(np.random.default_rng(6), PRIOR, 300)
    shift, batch = LabelShift.fit(held_out, target), held_out[held_out.argmax(axis=1) == 2]
    assert (solve("bbse", held_out, target, batch).raw < 0).any()
    for method in METHODS:
        seen = shift.estimate(batch, method)
        assert ((seen.low >= 0) & (seen.low <= seen.share) & (seen.share <= seen.high) & (seen.high <= 1)).all()
        assert seen.share.sum() == pytest.approx(1.0)
    hard, towards_one = shift.estimate(batch, "bbse"), shift.estimate(batch, "rlls")
    assert (towards_one.low[hard.low < hard.share] <= hard.low[hard.low < hard.share]).all()


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_told_is_said(method):
    flat, labels = np.tile([0.6, 0.4], (50, 1)), np.arange(50) % 2
    told = LabelShift.fit(flat, labels).estimate(flat, method)
    assert np.isnan(told.share).all()
    assert "do not tell the classes apart" in told.reason
    assert LabelShift.fit(flat, labels).estimate(flat[:0], method).reason == "no rows"
    assert "no held-out rows of 1 of 2" in LabelShift.fit(flat, np.zeros(50, dtype=int)).estimate(flat, method).reason
