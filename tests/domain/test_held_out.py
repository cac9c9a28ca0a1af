"""The held-out rows that a version keeps: the same numbers for the same rows, of bounded size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monitor import Schema
from monitor.domain.held_out import HeldOut
from monitor.domain.model_reference import ModelReference
from monitor.errors import DataError
from monitor.stats.estimation.covariate_shift import Powers

SCHEMA = Schema(
    features={"x": "numeric", "c": "categorical", "b": "boolean", "v": "vector", "i": "image"}, segments=("c",)
)
KINDS = {"x": 2, "c": 5, "b": 4, "v": 7, "i": 11}  # columns of each: its own and those for others and missing


def table(seed: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    x[::17] = np.nan
    levels = rng.choice(["u", "v", "w"], n).astype(object)
    levels[::23] = None
    return pd.DataFrame(
        {
            "x": x,
            "c": levels,
            "b": rng.random(n) < 0.3,
            "v": list(rng.normal(size=(n, 4))),
            "i": list(rng.integers(0, 256, (n, 100), dtype=np.uint8)),
        }
    )


def classified(frame: pd.DataFrame, held_out: int, seed: int = 0) -> tuple[HeldOut, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet([1.0, 2.0, 3.0], held_out)
    target = rng.integers(0, 3, held_out)
    return HeldOut.fit(frame, SCHEMA, scores, target), scores, target


def test_a_kept_row_is_what_the_same_row_of_a_batch_is_encoded_as():
    frame = table(0, 300)
    kept, scores, target = classified(frame, 120)
    assert np.array_equal(kept.features, kept.encode(frame.iloc[-120:]))
    assert kept.scores == pytest.approx(scores, rel=1e-6)
    assert np.array_equal(kept.target, target)
    assert kept.names == tuple(SCHEMA.features)
    assert dict(zip(kept.names, np.bincount(kept.groups).tolist(), strict=True)) == KINDS
    assert kept.losses() == pytest.approx(-np.log(scores[np.arange(120), target]), rel=1e-5)


def test_it_is_kept_with_the_version():
    frame = table(1, 200)
    rng = np.random.default_rng(1)
    scores, target = rng.dirichlet([1.0, 1.0], 90), rng.integers(0, 2, 90)
    reference = ModelReference.fit(
        frame, SCHEMA, held_out_scores=scores, held_out_target=target, classes=("a", "b"), metric="accuracy"
    )
    again = ModelReference.from_bytes(reference.to_bytes()).held_out
    batch = table(2, 50)
    assert np.array_equal(again.encode(batch), reference.held_out.encode(batch))
    assert np.array_equal(again.features, reference.held_out.features)
    assert np.array_equal(again.scores, reference.held_out.scores)
    assert np.array_equal(again.target, reference.held_out.target)
    assert reference.label_shift is not None
    assert np.array_equal(reference.label_shift.target, reference.held_out.target)


def test_of_regression_it_keeps_the_values():
    values = np.random.default_rng(3).normal(size=80)
    kept = HeldOut.fit({"x": np.arange(80.0)}, Schema(features={"x": "numeric"}), values, values + 0.5)
    assert kept.target == pytest.approx(values + 0.5)
    assert kept.losses() == pytest.approx(np.full(80, 0.5), rel=1e-5)


def test_a_level_never_seen_a_missing_cell_and_an_infinity_have_a_place():
    kept, _, _ = classified(table(4, 200), 100)
    batch = table(5, 4)
    batch["c"] = ["new", None, "u", "u"]
    batch["x"] = [np.inf, -np.inf, np.nan, 1e300]
    found = kept.encode(batch)
    x, c = found[:, kept.groups == 0], found[:, kept.groups == 1]
    assert x.tolist() == [[6.0, 0.0], [-6.0, 0.0], [0.0, 1.0], [6.0, 0.0]]
    assert (c > 0).sum(axis=1).tolist() == [1, 1, 1, 1]
    assert (c > 0)[0, -2]  # all other levels
    assert (c > 0)[1, -1]  # missing
    assert kept.encode(batch.iloc[:0]).shape == (0, kept.groups.size)


@pytest.mark.parametrize("rows", [0, 1, 300])
def test_powers_of_a_table_are_those_of_its_encoding(rows: int):
    kept, _, _ = classified(table(6, 200), 100)
    batch = table(7, rows)
    if rows > 1:
        batch["x"] = np.where(np.arange(rows) % 3 == 0, np.nan, 1e3 * batch["x"])
        batch["c"] = [[None, "new", "u"][i % 3] for i in range(rows)]
    found, wanted = kept.powers(batch), Powers.of(kept.encode(batch))
    assert found.rows == wanted.rows == rows
    assert np.array_equal(found.held, wanted.held)
    assert found.mean == pytest.approx(wanted.mean, rel=1e-12)
    assert found.variance == pytest.approx(wanted.variance, rel=1e-9, abs=1e-12)
    with pytest.raises(DataError, match=r"column 'c': .* the columns before have"):
        kept.powers({**batch, "c": ["u"] * (rows + 1)})


def test_rows_of_an_unknown_class_and_rows_that_are_not_there_are_left_out():
    scores, target = np.full((6, 2), 0.5), np.array([0, 1, 1, -1, 0, 1])
    kept = HeldOut.fit({"x": np.arange(4.0)}, Schema(features={"x": "numeric"}), scores, target)
    assert kept.target.tolist() == [1, 0, 1]
    assert np.array_equal(kept.features, kept.encode({"x": np.array([0.0, 2.0, 3.0])}))
    nothing = HeldOut.fit({"x": np.zeros(0)}, Schema(features={"x": "numeric"}), scores[:0], target[:0])
    assert (nothing.rows, nothing.features.shape) == (0, (0, 2))


def test_an_image_of_another_size_is_refused_by_name():
    kept, _, _ = classified(table(6, 60), 30)
    with pytest.raises(DataError, match="column 'i': 3 cells per row, the reference has 100"):
        kept.encode(table(7, 5).assign(i=[np.zeros(3, np.uint8)] * 5))


@pytest.mark.parametrize(("columns", "kept_rows"), [(20, 10_000), (2_000, 2_000)])
def test_the_size_is_bounded(columns: int, kept_rows: int):
    rng = np.random.default_rng(8)
    rows = 30_000 if columns == 20 else 4_000
    cells = rng.normal(size=(columns, rows))
    frame = {f"x{i}": cells[i] for i in range(columns)}
    schema = Schema(features=dict.fromkeys(frame, "numeric"))
    kept = HeldOut.fit(frame, schema, rng.normal(size=rows), rng.normal(size=rows))
    assert kept.rows == kept_rows
    _, arrays = kept.to_plain()
    assert sum(array.nbytes for array in arrays.values()) < 40e6
