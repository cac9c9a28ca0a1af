"""`monitor init` looks at real streams and at small files with every kind of trap."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from monitor.adapters.file_source import read_table
from monitor.adapters.inspection import propose_deployment
from monitor.config.deployment import Deployment
from monitor.config.reading import load_deployment
from monitor.domain.schema import Kind, LabelKind
from monitor.errors import ConfigError, DataError, SourceError


def propose(file: Path, tmp_path: Path, label: str | None = None) -> tuple[Deployment, str]:
    text = propose_deployment(file, name="demo", path=str(file), label=label)
    written = tmp_path / "demo.yaml"
    written.write_text(text, encoding="utf-8")
    return load_deployment(written), text


def kinds(deployment: Deployment) -> dict[str, str]:
    return {name: str(kind) for name, kind in deployment.schema_.features.items()}


def line(text: str, start: str) -> str:
    return next(found.strip() for found in text.splitlines() if found.strip().startswith(start))


@pytest.mark.real
def test_electricity(real_stream, tmp_path):
    deployment, text = propose(real_stream("elec2"), tmp_path)
    assert deployment.schema_.timestamp == "timestamp"
    assert deployment.schema_.timezone == "UTC"
    assert deployment.schema_.label.kind is LabelKind.BINARY
    assert deployment.schema_.label.positive == "UP"
    assert deployment.schema_.features["day"] is Kind.CATEGORICAL
    assert deployment.schema_.features["nswprice"] is Kind.NUMERIC
    assert "date" not in deployment.schema_.features  # a calendar
    assert "# date: numeric  # grows from row to row like a calendar" in text
    assert "No column is different in every row" in text
    assert deployment.performance.metric == "roc_auc"


@pytest.mark.real
def test_bike_sharing(real_stream, tmp_path):
    deployment, text = propose(real_stream("bike_sharing"), tmp_path, label="cnt")
    assert deployment.schema_.id == "instant"
    assert deployment.schema_.label.kind is LabelKind.REGRESSION
    assert deployment.performance.metric == "mae"
    for leak in ("casual", "registered"):
        assert line(text, f"# {leak}:").endswith("a likely leak: casual + registered = cnt")
    assert "calendar" in line(text, "# yr:")
    assert not {"yr", "casual", "registered", "instant"} & set(kinds(deployment))


@pytest.mark.real
@pytest.mark.parametrize(
    ("stream", "kind", "features"),
    [
        ("noaa_weather", "binary", 8),
        ("insects_gradual_balanced", "multiclass", 33),
        ("digits_mnist_to_usps", "multiclass", 2),
    ],
)
def test_other_streams(real_stream, tmp_path, stream, kind, features):
    deployment, _ = propose(real_stream(stream), tmp_path)
    assert deployment.schema_.label.kind == kind
    assert len(deployment.schema_.features) == features


@pytest.mark.real
def test_images_get_the_image_network_and_their_rows_are_read(real_stream, tmp_path):
    file = real_stream("digits_mnist_to_usps")
    deployment, _ = propose(file, tmp_path)
    assert deployment.model.code == Path("models/image_network.py")
    assert deployment.schema_.features["image"] is Kind.IMAGE
    found = read_table(file, "training.path", deployment.schema_value, require_label=True)
    assert found.rows.num_rows == 18_000
    assert found.rejected.num_rows == 0


def small(rows: int = 200) -> dict[str, list]:
    rng = random.Random(20240501)
    start = datetime(2024, 5, 1, tzinfo=UTC)
    label = [rng.choice(["yes", "no"]) for _ in range(rows)]
    return {
        "order id": [f"o-{i}" for i in range(rows)],
        "created": [(start + timedelta(minutes=i)).isoformat() for i in range(rows)],
        "price": [round(rng.uniform(1, 9), 3) for _ in range(rows)],
        "stars": [rng.randint(1, 5) for _ in range(rows)],
        "yes": [rng.choice(["true", "false"]) for _ in range(rows)],
        "note: free text": [f"{rng.random()} words" for _ in range(rows)],
        "shop": ["only one"] * rows,
        "nothing": [None] * rows,
        "week": [i // 50 for i in range(rows)],
        "verdict": [{"yes": "accepted", "no": "declined"}[v] for v in label],
        "label": label,
    }


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_small_file_with_traps_in_every_format(tmp_path, suffix):
    file = tmp_path / f"orders.{suffix}"
    frame = pl.DataFrame(small())
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}[suffix](file)
    deployment, text = propose(file, tmp_path)
    schema = deployment.schema_
    assert (schema.id, schema.timestamp, schema.timezone) == ("order id", "created", None)
    assert (schema.label.name, schema.label.kind, schema.label.positive) == ("label", LabelKind.BINARY, "yes")
    assert kinds(deployment) == {"price": "numeric", "stars": "categorical", "yes": "boolean"}
    assert "constant here" in line(text, "# shop:")
    assert "all missing here" in line(text, "# nothing:")
    assert "no category" in line(text, "# 'note: free text':")
    assert "calendar" in line(text, "# week:")
    assert "a likely leak: it gives 'label' away" in line(text, "# verdict:")
    assert "# segments: [stars, 'yes']" in text
    found = read_table(file, "training.path", deployment.schema_value, require_label=True)
    assert found.rows.num_rows == 200
    assert found.rejected.num_rows == 0


def test_what_is_commented_out_can_be_taken_in(tmp_path):
    file = tmp_path / "orders.csv"
    pl.DataFrame(small()).write_csv(file)
    text = propose_deployment(file, name="demo", path=str(file))
    taken_in = text.replace("# shop:", "shop:").replace("# 'note: free text':", "'note: free text':")
    features = yaml.safe_load(taken_in.replace("# segments:", "segments:"))["schema"]["features"]
    assert {"shop", "note: free text"} <= set(features)


def test_times_without_zone_ask_for_it(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("at,x,y\n" + "".join(f"2024-05-01 12:{m:02},{(m * 7) % 13}.5,{m % 2}\n" for m in range(30)))
    deployment, text = propose(file, tmp_path)
    assert deployment.schema_.timezone == "UTC"
    assert "a guess!" in line(text, "timezone:")


def test_a_label_that_decides_alone_and_numbers_that_separate_the_classes_are_leaks(tmp_path):
    file = tmp_path / "t.csv"
    rows = "".join(f"{i},{(i * 37) % 101},{(i % 2) * 1000 + (i * 37) % 101},{i % 2}\n" for i in range(200))
    file.write_text(f"id,x,score,y\n{rows}")
    deployment, text = propose(file, tmp_path)
    assert kinds(deployment) == {"x": "numeric"}
    assert "a likely leak" in line(text, "# score:")


@pytest.mark.parametrize(
    ("content", "label", "error", "message"),
    [
        ("a,b\n1,2\n3,4\n", None, ConfigError, "cannot tell which column is the label; name it: --label b"),
        ("a,b\n1,2\n3,4\n", "c", ConfigError, "no column 'c' for the label; the file has: a, b"),
        ("a,b\n", "b", ConfigError, "no rows to look at"),
        ("a,y\n1,2\n1,4\n", "y", ConfigError, r"no column is left to learn from \(a: constant here\)"),
        ("", None, DataError, "the file is empty"),
    ],
)
def test_files_that_no_deployment_can_be_made_of(tmp_path, content, label, error, message):
    file = tmp_path / "t.csv"
    file.write_text(content)
    with pytest.raises(error, match=message):
        propose_deployment(file, name="demo", path=str(file), label=label)
    with pytest.raises(SourceError, match="no such file"):
        propose_deployment(tmp_path / "gone.csv", name="demo", path="gone.csv")


@pytest.mark.parametrize(("scores", "expected"), [(["p"], {"yes": "p"}), (["yes=p", "no=q"], {"yes": "p", "no": "q"})])
def test_columns_with_the_scores_of_a_model_served_elsewhere_are_no_features(tmp_path, scores, expected):
    rng = random.Random(3)
    rows = [{"id": f"r{k}", "x": rng.random(), "p": k / 60, "q": 1 - k / 60} for k in range(60)]
    file = tmp_path / "rows.csv"
    pl.DataFrame([{**row, "sold": "yes" if row["p"] > rng.random() else "no"} for row in rows]).write_csv(file)
    written = tmp_path / "demo.yaml"
    written.write_text(
        propose_deployment(file, name="demo", path=str(file), label="sold", scores=scores), encoding="utf-8"
    )
    deployment = load_deployment(written)
    assert deployment.schema_value.scores == expected
    assert not {"p", *expected.values()} & set(deployment.schema_.features)
    assert (deployment.model.code, deployment.retrain.mode) == (None, "off")
    with pytest.raises(ConfigError, match="no column 'z' of scores"):
        propose_deployment(file, name="demo", path=str(file), label="sold", scores=["z"])
