from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from monitor import Reference, Schema
from monitor.domain.profile import Profile
from monitor.errors import ArtefactError, ConfigError, DataError

SCHEMA = Schema(features={"x": "numeric", "c": "categorical", "b": "boolean", "v": "vector"})


def table(seed: int, n: int = 400, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, n)
    x[::17] = np.nan
    levels = rng.choice(["u", "v", "w"], n, p=[0.5, 0.3, 0.2]).astype(object)
    levels[::23] = None
    vectors = rng.normal(size=(n, 6)).astype(np.float32) * np.arange(1, 7, dtype=np.float32)
    return pd.DataFrame({"x": x, "c": levels, "b": rng.random(n) < 0.3, "v": list(vectors)})


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.fit(table(0), SCHEMA)


def plain(reference, frame, measures=None):
    return [m.to_dict() for m in reference.compare(reference.profile(frame), measures)]


def test_pandas_arrow_polars_and_a_dict_give_the_same_numbers(reference):
    frame = table(1)
    arrow = pa.Table.from_pandas(frame)
    wanted = plain(reference, frame)
    assert plain(reference, arrow) == wanted
    assert plain(reference, pl.from_arrow(arrow)) == wanted
    assert plain(reference, {name: frame[name].to_numpy() for name in frame}) == wanted


def test_every_column_is_measured_and_a_shift_is_seen_where_it_is(reference):
    measures = reference.compare(reference.profile(table(1, shift=1.0)))
    assert {m.column for m in measures} == {
        "x",
        "c",
        "b",
        *(f"v[pc{i}]" for i in range(1, 7)),
        "v[residual]",
        "v[mean]",
    }
    moved = measures.get("x", "ks")
    assert moved is not None
    assert moved.p_value is not None
    assert moved.p_value < 1e-10
    assert moved.n_reference == moved.n_current == 400 - 24
    still = [m.p_value for m in measures if m.column not in ("x", "v[residual]") and m.p_value is not None]
    assert min(still) > 1e-4


def test_rotated_vectors_are_seen_in_their_components(reference):
    frame = table(3)
    frame["v"] = [v[::-1].copy() for v in frame["v"]]
    measures = reference.compare(reference.profile(frame), ["ks"])
    assert min(m.p_value for m in measures if m.column.startswith("v[")) < 1e-6


def test_residuals_of_new_rows_of_wide_vectors_do_not_seem_to_drift():
    rng = np.random.default_rng(4)
    reference = Reference.fit({"v": rng.normal(size=(400, 300))}, Schema(features={"v": "vector"}))
    measures = reference.compare(reference.profile({"v": rng.normal(size=(400, 300))}), ["ks"])
    residual = measures.get("v[residual]", "ks")
    assert residual is not None
    assert residual.p_value > 0.001


def test_saved_and_loaded_it_gives_the_same_numbers(reference, tmp_path):
    path = tmp_path / "reference.bin"
    reference.save(path)
    loaded = Reference.load(path)
    assert loaded.fingerprint == reference.fingerprint
    assert loaded.to_bytes() == reference.to_bytes()
    assert plain(loaded, table(5)) == plain(reference, table(5))
    assert loaded.compare(reference.profile(table(5)))  # a profile taken against the one fits the other


def test_no_raw_row_of_vectors_is_saved(reference):
    body = reference.to_bytes()
    assert all(np.asarray(v).tobytes() not in body for v in table(0)["v"])


@pytest.mark.parametrize("damage", ["truncated", "flipped", "other", "missing"])
def test_a_damaged_file_is_refused_by_name(reference, tmp_path, damage):
    path = tmp_path / "reference.bin"
    body = bytearray(reference.to_bytes())
    if damage == "truncated":
        body = body[: len(body) // 2]
    elif damage == "flipped":
        body[-100] ^= 1
    elif damage == "other":
        body = bytearray(reference.empty_profile().to_bytes())
    if damage != "missing":
        path.write_bytes(body)
    with pytest.raises(ArtefactError, match=r"reference\.bin"):
        Reference.load(path)


def test_another_reference_is_told_apart(reference):
    other = Reference.fit(table(9), SCHEMA)
    assert other.fingerprint != reference.fingerprint
    with pytest.raises(DataError, match="another reference"):
        reference.compare(other.profile(table(1)))
    with pytest.raises(DataError, match="different references"):
        reference.profile(table(1)) + other.profile(table(1))


def test_errors_name_the_column(reference):
    with pytest.raises(DataError, match="column 'c': the column is missing"):
        reference.profile(table(1).drop(columns="c"))
    with pytest.raises(DataError, match=r"column 'v': 5 cells per row, the reference has 6"):
        reference.profile(table(1).assign(v=[np.zeros(5)] * 400))
    with pytest.raises(DataError, match=r"column 'b': 2 rows, the columns before have 3"):
        Reference.fit({"a": [1.0, 2, 3], "b": [1.0, 2]}, Schema(features={"a": "numeric", "b": "numeric"}))
    with pytest.raises(ConfigError, match="measure 'kolmogorov' does not exist; known are ks"):
        reference.compare(reference.empty_profile(), ["kolmogorov"])


@pytest.mark.parametrize(
    "column",
    [[], [np.nan] * 5, [1.0] * 5, [2.0], [np.inf, -np.inf, 0.0], [1e308, -1e308], [0.0, np.nan, np.inf]],
    ids=str,
)
@pytest.mark.parametrize("batch", [[], [np.nan], [1.0] * 3, [7.0], [np.inf], [-1.7e308, 1.7e308]], ids=str)
def test_degenerate_columns_are_results(column, batch):
    reference = Reference.fit({"x": np.array(column)}, Schema(features={"x": "numeric"}))
    measures = reference.compare(reference.profile({"x": np.array(batch)}))
    assert [m.measure for m in measures] == ["ks", "psi", "js", "wasserstein", "location", "spread", "missing"]
    for measure in measures:
        assert measure.p_value is None or 0.0 <= measure.p_value <= 1.0
        assert not np.isinf(measure.statistic)
        assert measure.p_value is None or not np.isnan(measure.effect)
    Reference.from_bytes(reference.to_bytes())


def test_unseen_levels_are_named_and_counted(reference):
    frame = table(1)
    frame.loc[:9, "c"] = "zebra"
    measures = reference.compare(reference.profile(frame))
    unseen = measures.get("c", "unseen")
    assert unseen is not None
    assert unseen.detail == "'zebra' ×10"
    assert unseen.statistic == pytest.approx(10 / unseen.n_current)


def test_the_frame_has_one_row_per_column_and_measure(reference):
    frame = reference.compare(reference.profile(table(1))).frame()
    assert list(frame.columns[:7]) == [
        "column",
        "measure",
        "statistic",
        "p_value",
        "effect",
        "n_reference",
        "n_current",
    ]
    assert not frame.duplicated(["column", "measure"]).any()
    assert frame["p_value"].dtype == np.float64
    empty = reference.compare(reference.empty_profile(), ["psi"]).frame()
    assert empty["statistic"].isna().all()


def test_importing_the_package_loads_no_framework():
    code = "import sys, monitor; print(sorted({'torch', 'evidently', 'pandas', 'sklearn'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_profile_survives_its_bytes(reference):
    profile = reference.profile(table(6))
    again = Profile.from_bytes(profile.to_bytes())
    assert again.to_bytes() == profile.to_bytes()
    assert list(reference.compare(again)) == list(reference.compare(profile))
    with pytest.raises(ArtefactError):
        Profile.from_bytes(b"not a profile")
