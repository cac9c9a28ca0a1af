"""Every measure by its name, through `Reference.compare`."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from monitor import Reference, Schema
from monitor.domain.measure_catalogue import CATEGORICAL, NUMERIC

SCHEMA = Schema(features={"x": "numeric", "c": "categorical", "b": "boolean"})
ALL = tuple(dict.fromkeys([*NUMERIC, *CATEGORICAL]))
WITH_P = ["ks", "cramer_von_mises", "anderson_darling", "location", "spread", "mean", "missing"]
WITH_P_OF_LEVELS = ["chi2", "g", "missing"]


def table(seed: int, n: int = 600, moved: bool = False) -> pd.DataFrame:
    """Numbers are multiples of ¼, so that the samples share values. Moved: in location, spread, levels and missing."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(0.8 if moved else 0.0, 1.6 if moved else 1.0, n) * 4) / 4
    x[rng.random(n) < (0.2 if moved else 0.05)] = np.nan
    odds = [0.2, 0.3, 0.5] if moved else [0.5, 0.3, 0.2]
    levels = rng.choice(["u", "v", "w"], n, p=odds).astype(object)
    levels[rng.random(n) < (0.2 if moved else 0.05)] = None
    return pd.DataFrame({"x": x, "c": levels, "b": rng.random(n) < (0.5 if moved else 0.3)})


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.fit(table(0), SCHEMA)


def compared(reference, frame):
    return reference.compare(reference.profile(frame), ALL)


def test_every_name_is_measured_of_the_columns_of_its_kind(reference):
    measures = compared(reference, table(1))
    assert [m.measure for m in measures if m.column == "x"] == [name for name in ALL if name in NUMERIC]
    assert [m.measure for m in measures if m.column == "c"] == [name for name in ALL if name in CATEGORICAL]
    taken = [m for m in measures if not (m.column == "c" and m.measure == "fisher")]  # it is for two levels
    assert all(np.isfinite(m.statistic) and np.isfinite(m.effect) for m in taken)
    assert np.isnan(measures.get("c", "fisher").statistic)


def test_what_has_a_p_value_tells_clean_from_moved(reference):
    clean, moved = compared(reference, table(1)), compared(reference, table(1, moved=True))
    pairs = [("x", name) for name in WITH_P] + [("c", name) for name in WITH_P_OF_LEVELS] + [("b", "fisher")]
    for column, name in pairs:
        assert clean.get(column, name).p_value > 0.01, (column, name)
        assert moved.get(column, name).p_value < 1e-6, (column, name)
        assert abs(moved.get(column, name).effect) > abs(clean.get(column, name).effect), (column, name)
    with_p = {(m.column, m.measure) for m in moved if m.p_value is not None}
    assert with_p == {*pairs, ("b", "chi2"), ("b", "g"), ("b", "missing")}


@pytest.mark.parametrize("name", ["psi", "js", "kl", "hellinger", "total_variation"])
def test_distances_grow_with_the_shift(reference, name):
    clean, moved = compared(reference, table(1)), compared(reference, table(1, moved=True))
    for column in ("x", "c"):
        assert 0.0 <= clean.get(column, name).statistic < 0.5 * moved.get(column, name).statistic


def test_numbers_are_those_of_scipy(reference):
    frame = table(2, moved=True)
    before, now = (f["x"].dropna().to_numpy() for f in (table(0), frame))
    known = frame[frame["x"].isna() | frame["x"].isin(before)]  # between points the counts do not say where
    measures = compared(reference, frame)
    welch = stats.ttest_ind(now, before, equal_var=False)
    assert measures.get("x", "mean").statistic == pytest.approx(welch.statistic, rel=1e-9)
    assert measures.get("x", "mean").p_value == pytest.approx(welch.pvalue, rel=1e-6)
    assert measures.get("x", "sd").statistic == pytest.approx(now.std(ddof=1) / before.std(ddof=1), rel=1e-9)
    now = known["x"].dropna().to_numpy()
    theirs = stats.cramervonmises_2samp(before, now, method="asymptotic")
    assert compared(reference, known).get("x", "cramer_von_mises").statistic == pytest.approx(theirs.statistic)
    distance = stats.wasserstein_distance(before, now)
    assert compared(reference, known).get("x", "wasserstein").statistic == pytest.approx(distance, rel=1e-9)


def test_numbers_of_levels_are_those_of_scipy(reference):
    frame = table(2, moved=True)
    counts = np.array([f["c"].value_counts().sort_index().to_numpy() for f in (table(0), frame)])
    r, c = counts / counts.sum(axis=1, keepdims=True)
    measures = compared(reference, frame)
    g = stats.chi2_contingency(counts, correction=False, lambda_="log-likelihood")
    wanted = {
        "chi2": stats.chi2_contingency(counts, correction=False).statistic,
        "g": g.statistic,
        "cramers_v": stats.contingency.association(counts),
        "hellinger": np.sqrt(1 - np.sqrt(r * c).sum()),
        "total_variation": np.abs(r - c).sum() / 2,
        "linf": np.abs(r - c).max(),
    }
    for name, value in wanted.items():
        assert measures.get("c", name).statistic == pytest.approx(value, rel=1e-9), name
    assert measures.get("c", "kl").statistic == pytest.approx(stats.entropy(c, r), rel=1e-3)
    two = np.array([f["b"].value_counts().sort_index().to_numpy() for f in (table(0), frame)])
    assert measures.get("b", "fisher").p_value == pytest.approx(stats.fisher_exact(two).pvalue, rel=1e-6)


def test_chunks_merge_to_the_numbers_of_one_pass(reference):
    frame = table(3, moved=True)
    parts = [reference.profile(frame.iloc[i : i + 70]) for i in range(0, len(frame), 70)]
    merged = reference.compare(functools.reduce(operator.add, parts), ALL)
    for whole, part in zip(compared(reference, frame), merged, strict=True):
        assert (part.column, part.measure, part.n_current) == (whole.column, whole.measure, whole.n_current)
        assert part.statistic == pytest.approx(whole.statistic, rel=1e-9, abs=1e-12, nan_ok=True)
        assert (part.p_value is None) == (whole.p_value is None)
        assert (part.p_value or 0.0) == pytest.approx(whole.p_value or 0.0, rel=1e-6, abs=1e-12)


DEGENERATE = [
    *[("numeric", values) for values in ([], [np.nan] * 3, [1.0], [2.0] * 4, [np.inf, -np.inf], [1e308, -1e308])],
    *[("categorical", levels) for levels in ([], [None, None], ["u"], ["z", "z"])],
]


@pytest.mark.parametrize(("kind", "values"), DEGENERATE, ids=str)
def test_degenerate_columns_are_results(kind, values):
    odd = {"a": np.array(values, dtype=np.float64 if kind == "numeric" else object)}
    plain = {"a": np.array([0.0, 1.0, 2.0, np.nan] if kind == "numeric" else ["u", "v", "u", None])}
    for before, now in ((odd, plain), (plain, odd), (odd, odd)):
        fitted = Reference.fit(before, Schema(features={"a": kind}))
        measures = fitted.compare(fitted.profile(now), ALL)
        assert [m.measure for m in measures] == [n for n in ALL if n in (NUMERIC if kind == "numeric" else CATEGORICAL)]
        for measure in measures:
            assert measure.p_value is None or 0.0 <= measure.p_value <= 1.0
            assert measure.p_value is None or not np.isnan(measure.effect)
