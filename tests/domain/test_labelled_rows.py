"""Labels given to some rows rather than others: found, weighted for, and not found where chance decides."""

from __future__ import annotations

import numpy as np
from scipy import stats

from monitor.domain.labelled_rows import SCORES, compare_labelled
from monitor.domain.schema import Schema

SCHEMA = Schema(features={"a": "numeric", "b": "numeric"})


def window(rng: np.random.Generator, n: int, strength: float) -> tuple[dict, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, the model's probability, whether the model is right, and whether the row has a label."""
    a, b = rng.normal(size=n), rng.normal(size=n)
    score = 1 / (1 + np.exp(-a))
    right = rng.random(n) < 0.5 + 0.45 * (np.abs(a) / (1 + np.abs(a)))  # it is good where it is sure
    labelled = rng.random(n) < 1 / (1 + np.exp(-strength * (np.abs(a) - 0.7)))
    return {"a": a, "b": b}, np.column_stack([1 - score, score]), right, labelled


def compared(rng: np.random.Generator, n: int, strength: float):
    rows, scores, right, labelled = window(rng, n, strength)
    parts = [{name: cells[part] for name, cells in rows.items()} for part in (labelled, ~labelled)]
    return compare_labelled(*parts, (scores[labelled], scores[~labelled]), SCHEMA, rng), right, labelled


def test_where_chance_decides_it_warns_as_often_as_asked():
    rng = np.random.default_rng(5)
    p_values = [compared(rng, 300, 0.0)[0].p_value for _ in range(200)]
    warned = sum(p < 0.05 for p in p_values if p is not None)
    assert warned <= stats.binom.ppf(0.999, 200, 0.05)


def test_it_finds_that_sure_rows_are_labelled_and_which_columns_say_so():
    rng = np.random.default_rng(6)
    found = [compared(rng, 600, 2.0)[0] for _ in range(20)]
    assert sum(one.p_value is not None and one.p_value < 1 / 365 for one in found) >= 19
    assert all(one.shares["b"] < 0.2 for one in found)
    assert set(found[0].shares) == {"a", "b", SCORES}


def test_the_weighted_share_is_nearer_to_that_of_all_rows():
    rng = np.random.default_rng(7)
    plain, weighted = [], []
    for _ in range(30):
        found, right, labelled = compared(rng, 1500, 2.0)
        assert abs(found.weights.mean() - 1) < 1e-9
        plain.append(abs(right[labelled].mean() - right.mean()))
        weighted.append(abs(np.average(right[labelled], weights=found.weights) - right.mean()))
    assert np.mean(weighted) < 0.5 * np.mean(plain)


def test_too_few_rows_say_nothing():
    rng = np.random.default_rng(8)
    rows = {"a": rng.normal(size=4), "b": rng.normal(size=4)}
    found = compare_labelled(rows, rows, (rng.normal(size=4), rng.normal(size=4)), SCHEMA, rng)
    assert found.p_value is None
    assert np.array_equal(found.weights, np.ones(4))
