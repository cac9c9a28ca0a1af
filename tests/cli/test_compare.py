"""`monitor compare`: the exit code is the answer, table and JSON say why."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from tests.cli.conftest import Monitor


def frame(rows: int, *, shift: float = 0.0, days: tuple[str, ...] = ("mon", "tue"), seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "row_id": [f"r{seed}-{i}" for i in range(rows)],
            "price": rng.normal(shift, 1.0, rows),
            "day": rng.choice(days, rows),
            "open": rng.random(rows) < 0.5,
            "y": rng.integers(0, 2, rows),
        }
    )


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    frame(1000).write_parquet(tmp_path / "reference.parquet")
    return tmp_path / "reference.parquet"


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_moved_column_is_found_in_every_format(monitor: Monitor, reference: Path, tmp_path: Path, suffix: str):
    current = tmp_path / f"current.{suffix}"
    moved = frame(500, shift=0.5, seed=1)
    {"parquet": moved.write_parquet, "csv": moved.write_csv, "jsonl": moved.write_ndjson}[suffix](current)
    said = monitor("compare", reference, current, "--json")
    assert said.code == 1
    assert said.json["verdict"] == "drift"
    assert [c["name"] for c in said.json["drifted"]] == ["price"]
    assert said.json["left_out"] == {"row_id": "identifies rows"}
    assert said.json["rows"] == {"reference": 1000, "current": 500}
    assert {m["column"] for m in said.json["measures"]} == {"price", "day", "open", "y"}


def test_rows_of_the_same_kind_are_no_drift(monitor: Monitor, reference: Path, tmp_path: Path):
    frame(1000, seed=2).write_parquet(tmp_path / "current.parquet")
    said = monitor("compare", reference, tmp_path / "current.parquet", "--label", "y")
    assert said.code == 0
    assert "ok  0 of 3 columns differ" in said.out
    assert "y (as asked)" in said.err


def test_an_unseen_level_is_named(monitor: Monitor, reference: Path, tmp_path: Path):
    frame(500, days=("mon", "tue", "sun"), seed=3).write_parquet(tmp_path / "current.parquet")
    said = monitor("compare", reference, tmp_path / "current.parquet")
    assert said.code == 1
    assert "'sun' ×" in said.out


def test_thresholds_are_the_callers(monitor: Monitor, reference: Path, tmp_path: Path):
    frame(500, shift=0.5, seed=1).write_parquet(tmp_path / "current.parquet")
    assert monitor("compare", reference, tmp_path / "current.parquet", "--min-effect", "0.4").code == 0
    assert monitor("compare", reference, tmp_path / "current.parquet", "--alpha", "1e-30").code == 0


def pairs(rows: int, correlation: float, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    return pl.DataFrame({"a": a, "b": correlation * a + np.sqrt(1 - correlation**2) * b})


def test_all_columns_together_show_what_no_column_shows(monitor: Monitor, tmp_path: Path):
    before, after = tmp_path / "before.parquet", tmp_path / "after.parquet"
    pairs(1000, 0.0, 0).write_parquet(before)
    pairs(1000, 0.8, 1).write_parquet(after)
    assert monitor("compare", before, after).code == 0
    said = monitor("compare", before, after, "--together", "mmd", "--json")
    assert (said.code, said.json["verdict"], said.json["drifted"]) == (1, "drift", [])
    assert said.json["reason"].endswith("; all together differ by mmd")
    (found,) = said.json["together"]
    assert (found["measure"], found["column"], found["drift"]) == ("mmd", "*", True)
    pairs(1000, 0.0, 2).write_parquet(after)
    asked = [argument for name in ("classifier", "mmd", "reconstruction") for argument in ("--together", name)]
    said = monitor("compare", before, after, *asked)
    assert said.code == 0
    assert said.out.count("all columns") == 3


def test_the_classifier_names_the_columns(monitor: Monitor, reference: Path, tmp_path: Path):
    frame(500, shift=0.5, seed=1).write_parquet(tmp_path / "current.parquet")
    said = monitor("compare", reference, tmp_path / "current.parquet", "--together", "classifier", "--json")
    (found,) = said.json["together"]
    assert found["drift"]
    assert found["detail"].startswith("price ")


def test_a_measure_of_all_columns_must_exist(monitor: Monitor, reference: Path):
    said = monitor("compare", reference, reference, "--together", "mdm")
    assert said.code == 2
    assert "measure 'mdm' does not exist; known are classifier, mmd, reconstruction" in said.err


def test_too_few_rows_are_not_ok(monitor: Monitor, reference: Path, tmp_path: Path):
    frame(5).write_parquet(tmp_path / "current.parquet")
    said = monitor("compare", reference, tmp_path / "current.parquet", "--json")
    assert (said.code, said.json["verdict"]) == (1, "insufficient_data")


@pytest.mark.parametrize("whole", [True, False])
def test_a_schema_says_what_to_compare(monitor: Monitor, reference: Path, tmp_path: Path, whole: bool):
    frame(500, shift=0.5, seed=1).write_parquet(tmp_path / "current.parquet")
    section = {"features": {"day": "categorical", "open": "boolean"}}
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump({"schema": section} if whole else section))
    said = monitor("compare", reference, tmp_path / "current.parquet", "--schema", tmp_path / "schema.yaml", "--json")
    assert said.code == 0
    assert {m["column"] for m in said.json["measures"]} == {"day", "open"}


def test_a_missing_column_names_file_and_column(monitor: Monitor, reference: Path, tmp_path: Path):
    frame(500).drop("price").write_parquet(tmp_path / "current.parquet")
    said = monitor("compare", reference, tmp_path / "current.parquet")
    assert said.code == 1
    assert f"{tmp_path / 'current.parquet'}: column 'price': the column is missing" in said.err


def test_a_cell_that_is_no_number_is_named_by_its_row(monitor: Monitor, reference: Path, tmp_path: Path):
    current = frame(200).with_columns(price=pl.lit("1.5")).with_row_index("n")
    current = current.with_columns(price=pl.when(pl.col("n") == 41).then(pl.lit("dear")).otherwise("price"))
    current.drop("n").write_csv(tmp_path / "current.csv")
    said = monitor("compare", reference, tmp_path / "current.csv")
    assert (said.code, said.out) == (1, "")
    assert f"{tmp_path / 'current.csv'}: column 'price', row 42: expected numbers" in said.err


@pytest.mark.parametrize("name", ["long.csv", "long.csv.gz"])
def test_a_row_with_too_many_cells_is_named(monitor: Monitor, reference: Path, tmp_path: Path, name: str):
    content = b'a,b\n1,"x\ny"\n2,z\n3,z,4\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    said = monitor("compare", reference, tmp_path / name)
    assert (said.code, said.out) == (1, "")
    assert f"{tmp_path / name}, row 3: cannot be read as csv" in said.err


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("gone.parquet", None, (3, "No such file")),
        ("half.parquet", b"PAR1 and no more", (1, "cannot be read as parquet")),
        ("data.txt", b"a,b\n1,2\n", (1, "unknown kind of file")),
        ("empty.csv", b"", (1, "cannot be read as csv")),
    ],
)
def test_files_that_cannot_be_read(
    monitor: Monitor, tmp_path: Path, *, name: str, content: bytes | None, wanted: tuple[int, str]
):
    frame(100).write_parquet(tmp_path / "reference.parquet")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    said = monitor("compare", tmp_path / "reference.parquet", tmp_path / name)
    assert (said.code, said.out) == (wanted[0], "")
    assert f"{tmp_path / name}: {wanted[1]}" in said.err.replace("cannot be read: No", "No")


def test_a_column_to_ignore_must_be_there(monitor: Monitor, reference: Path):
    said = monitor("compare", reference, reference, "--ignore", "prize")
    assert said.code == 2
    assert "no column 'prize'; known are row_id, price" in said.err
