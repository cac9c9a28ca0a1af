"""All columns of two tables at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from monitor import Schema
from monitor.domain.encoding import encode
from monitor.domain.multivariate import ROW_MEASURES, compare_rows, compare_scores
from monitor.errors import ConfigError, DataError

SCHEMA = Schema(features={"x": "numeric", "c": "categorical", "b": "boolean", "v": "vector"})


def table(seed: int, n: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.lognormal(size=n)
    x[::17] = np.nan
    levels = rng.choice(["u", "v", "w"], n, p=[0.5, 0.3, 0.2]).astype(object)
    levels[::23] = None
    return pd.DataFrame({"x": x, "c": levels, "b": rng.random(n) < 0.3, "v": list(rng.normal(size=(n, 4)))})


def compared(reference, current, measures=ROW_MEASURES):
    return compare_rows(reference, current, SCHEMA, measures, rng=np.random.default_rng(0))


def test_tables_of_the_same_distribution_are_not_told_apart():
    found = compared(table(0), table(1))
    assert [(m.column, m.measure) for m in found.measures] == [("*", name) for name in ROW_MEASURES]
    assert all(m.p_value > 0.01 for m in found.measures)
    assert set(found.shares) == {"x", "c", "b", "v"}
    assert found.weights.shape == (500,)
    assert {(m.n_reference, m.n_current) for m in found.measures} == {(500, 500)}


@pytest.mark.parametrize("column", ["x", "c", "b", "v"])
def test_the_column_that_moved_is_named(column):
    moved = {
        "x": lambda frame: frame.assign(x=frame["x"] * 2),
        "c": lambda frame: frame.assign(c=frame["c"].replace("u", "z")),
        "b": lambda frame: frame.assign(b=~frame["b"]),
        "v": lambda frame: frame.assign(v=[cell + 1 for cell in frame["v"]]),
    }
    found = compared(table(0), moved[column](table(1)), ["classifier", "mmd"])
    assert all(m.p_value < 0.01 for m in found.measures)
    assert max(found.shares, key=found.shares.__getitem__) == column
    assert found.measures.get("*", "classifier").detail.startswith(f"{column} ")


def test_missing_cells_alone_are_a_difference():
    current = table(1)
    current.loc[::3, "x"] = np.nan
    assert compared(table(0), current, ["classifier"]).measures.get("*", "classifier").p_value < 1e-4


def test_polars_and_a_dict_give_the_numbers_of_pandas():
    wanted = list(compared(table(0), table(1)).measures)
    assert list(compared(pl.from_pandas(table(0)), pl.from_pandas(table(1))).measures) == wanted
    assert list(compared({name: table(0)[name].to_numpy() for name in SCHEMA.features}, table(1)).measures) == wanted


@pytest.mark.parametrize(
    "values",
    [[], [np.nan] * 4, [2.0] * 4, [np.inf, -np.inf, 0.0, 1.0], [1e308, -1e308, 0.0], [5e-324, 0.0, 1e-310]],
    ids=str,
)
def test_degenerate_numbers_are_encoded_as_finite_ones(values):
    found = encode({"x": np.array(values)}, {"x": np.zeros(3)}, Schema(features={"x": "numeric"}))
    assert (len(found.ref), len(found.cur)) == (len(values), 3)
    for block in (found.ref, found.cur):
        assert np.isfinite(block).all()
        assert (np.abs(block) <= 6).all()


def test_encoding_does_not_depend_on_which_row_is_of_which_table():
    one, other = table(0, 60), table(1, 40)
    there, back = encode(one, other, SCHEMA), encode(other, one, SCHEMA)
    columns = there.groups < 3  # the signs of components are arbitrary
    assert np.array_equal(there.groups, back.groups)
    assert np.allclose(np.sort(there.ref[:, columns], axis=0), np.sort(back.cur[:, columns], axis=0))


def test_empty_tables_are_not_measured():
    empty = table(0).iloc[:0]
    for pair in ((empty, table(1)), (table(0), empty), (empty, empty)):
        assert [m.p_value for m in compared(*pair).measures] == [None] * 3


def test_errors_name_the_column():
    with pytest.raises(ConfigError, match="measure 'ks' does not exist; known are classifier, mmd, reconstruction"):
        compared(table(0), table(1), ["ks"])
    with pytest.raises(DataError, match="column 'c': the column is missing"):
        compared(table(0), table(1).drop(columns="c"))
    with pytest.raises(DataError, match=r"column 'v': 5 cells per row, the reference has 4"):
        compared(table(0), table(1).assign(v=[np.zeros(5)] * 500))
    short = {"a": np.zeros(3), "b": np.zeros(2)}
    with pytest.raises(DataError, match="column 'b': 2 rows, the columns before have 3"):
        compare_rows(short, short, Schema(features={"a": "numeric", "b": "numeric"}), rng=np.random.default_rng(0))


def test_scores_are_measured_together_and_by_class():
    rng = np.random.default_rng(2)
    before, now = rng.dirichlet([2, 2, 2], 400), rng.dirichlet([2, 2, 4], 300)
    measures = compare_scores(before, now, ["cat", "dog", "fox"])
    assert [(m.column, m.measure) for m in measures] == [
        ("*", "scores"),
        ("score[cat]", "ks"),
        ("score[dog]", "ks"),
        ("score[fox]", "ks"),
    ]
    overall, fox = measures.get("*", "scores"), measures.get("score[fox]", "ks")
    assert overall.detail == "fox"
    assert overall.p_value == fox.p_value < 1e-6
    assert (fox.n_reference, fox.n_current) == (400, 300)
    assert [m.column for m in compare_scores(before[:, 2], now[:, 2])] == ["*", "score[0]"]
    with pytest.raises(DataError, match="2 scores per row of 3 classes, the reference has 3"):
        compare_scores(before, now[:, :2])
