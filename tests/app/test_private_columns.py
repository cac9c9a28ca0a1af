"""Values of private columns are in the collected rows and in the quarantine file, and nowhere else.

Everything that can go wrong with rows goes wrong here, with values that are easy to find again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from monitor.adapters.logging_setup import configure
from monitor.app.retrain_model import Orders
from monitor.bootstrap import Application, open_application
from monitor.domain.batch import DeliveryKind
from monitor.domain.schema import Schema
from monitor.errors import ConfigError, DataError, MonitorError
from tests.support.project import HOUR, START, Project, make_rows

CANARY = "canary-7f3a"  # in every value that must not be seen
NUMBER = "73515173"
CHANGES = {
    "schema": {
        "id": "row_id", "timestamp": "at", "label": {"name": "y", "kind": "binary", "positive": "UP"},
        "features": {"a": "numeric", "b": "numeric", "colour": "categorical", "card": "numeric"},
        "private": ["row_id", "colour", "card"],
    },
    "batches": {"path": "incoming/*", "settle": "0s", "max_bad_share": 0.9},
    "reports": {"max_rows": 100},
    "detect": {"rule": "per_batch", "hold": 1, "min_effect": 0.0},
    "retrain": {"min_labels": 50, "mode": "off"},
}  # fmt: skip


def rows(n: int, hour: int, first_id: int) -> pa.Table:
    made = make_rows(n, np.random.default_rng(first_id), start=START + hour * HOUR, first_id=first_id)
    ids = pa.array([f"{CANARY}-{name}" for name in made["row_id"].to_pylist()])
    colours = pa.array([f"{CANARY}-{name}" for name in made["colour"].to_pylist()])
    cards = pa.array([float(f"{NUMBER}{k % 10}") for k in range(n)])
    made = made.set_column(0, "row_id", ids).set_column(4, "colour", colours)
    return made.append_column("card", cards)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.create(tmp_path_factory.mktemp("private") / "project", changes=CHANGES)
    project.write(project.folder / "training.parquet", rows(800, -40, 1_000_000))
    return project


@pytest.fixture(scope="module")
def told(project: Project) -> Iterator[tuple[Application, list[str]]]:
    """The application after everything has gone wrong, and the text of every error."""
    log_file = project.folder / "daemon.log"
    errors: list[str] = []
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with log_file.open("w") as out, open_application(project.config, log=configure("json", "debug", stream=out)) as app:

        def once() -> None:
            try:
                app.once()
            except MonitorError as exc:
                errors.append(str(exc))

        deliver(project)
        once()
        first = app.store.records("tiny")[0]["batch"]
        app.report("tiny", first)
        app.retrain("tiny", Orders(mode="dry_run"), lambda share, what: None)
        refused_training(app, errors)
        pushed(app, errors)
        quoting_model(project)
        once()
        yield app, errors
    root.handlers[:] = handlers
    root.setLevel(level)


def deliver(project: Project) -> None:
    good = rows(120, 0, 0)
    project.write(project.incoming / "good.parquet", good.drop_columns(["y"]))
    project.write(project.labels / "good.parquet", good.select(["row_id", "y"]))
    again = rows(60, 1, 0)  # ids that came before
    project.write(project.incoming / "again.parquet", again.drop_columns(["y"]))
    twice = rows(40, 2, 5000)
    project.write(project.incoming / "twice.parquet", pa.concat_tables([twice, twice]).drop_columns(["y"]))
    other = rows(80, 3, 6000).drop_columns(["y"])
    cards = [f"{CANARY}-{k}" if k % 2 else NUMBER for k in range(80)]
    text = other.set_column(other.column_names.index("card"), "card", pa.array(cards))
    arrow_csv.write_csv(text, project.incoming / "text.csv")
    unseen = rows(120, 4, 7000).drop_columns(["y"])
    news = pa.array([f"{CANARY}-new-{k % 3}" for k in range(120)])
    project.write(project.incoming / "unseen.parquet", unseen.set_column(4, "colour", news))
    lines = [json.dumps({**row, "at": str(row["at"]), "card": [NUMBER, CANARY]}) for row in other.to_pylist()[:5]]
    (project.incoming / "nested.jsonl").write_text("\n".join([*lines, f'{{"row_id": "{CANARY}", ']))
    contradictory = pa.table({"row_id": [f"{CANARY}-r1", f"{CANARY}-r1"], "y": ["UP", "DOWN"]})
    project.write(project.labels / "contradictory.parquet", contradictory)


def quoting_model(project: Project) -> None:
    """From now on the code that scores prints a row and raises with it; the champion's own copy is what runs."""
    (code,) = (project.folder / "var" / "models" / "tiny").glob("*/code.py")
    code.unlink()
    raising = "        print(frame.head(), file=__import__('sys').stderr); raise ValueError(frame.iloc[0].to_dict())\n"
    source = project.folder / "models" / "model.py"
    signature = next(line for line in source.read_text().splitlines() if "def predict(" in line)
    code.write_text(source.read_text().replace(f"{signature}\n", f"{signature}\n{raising}"))
    project.write(project.incoming / "late.parquet", rows(60, 6, 8000).drop_columns(["y"]))


def refused_training(app: Application, errors: list[str]) -> None:
    """Rows that are trained on may be wrong as well; what is logged of them is as careful."""
    made = rows(20, 0, 9000)
    bad = made.set_column(made.column_names.index("card"), "card", pa.array([CANARY] * 20))
    file = app.settings.project / "bad-training.csv"
    arrow_csv.write_csv(bad, file)
    try:
        app.runtime("tiny").read_labelled(str(file))
    except MonitorError as exc:
        errors.append(str(exc))


def pushed(app: Application, errors: list[str]) -> None:
    header = "row_id,at,a,b,colour,card\n"
    row = f"{CANARY},2026-01-05T00:00:00Z,1,2,{CANARY},{CANARY}\n"
    answer = app.push("tiny", DeliveryKind.BATCH, "pushed", ".csv", (header + row).encode())
    assert answer.rejected == 1
    errors.append(json.dumps(answer.to_dict(), default=str))
    with pytest.raises(DataError) as caught:
        app.push("tiny", DeliveryKind.BATCH, "broken", ".csv", f"row_id,at\n{CANARY},x\n".encode())
    errors.append(str(caught.value))


def shown(app: Application) -> dict[str, Any]:
    """All that the store has to show."""
    store = app.store
    return {
        "records": store.records("tiny"),
        "measures": [store.measures("tiny", record["batch"]) for record in store.records("tiny")],
        "events": store.events("tiny"),
        "versions": [m.to_dict() for m in store.manifests("tiny")],
        "ledger": [str(entry) for kind in DeliveryKind for entry in store.entries("tiny", kind)],
    }


def test_it_went_as_wrong_as_it_was_meant_to(told: tuple[Application, list[str]]):
    app, errors = told
    records = {r["batch"]: r for r in app.store.records("tiny")}
    assert records["good.parquet"]["rows"] == 120
    quarantined = {name: record["quarantined"] for name, record in records.items()}
    assert quarantined["again.parquet"] == 60
    assert quarantined["twice.parquet"] == 40
    assert quarantined["text.csv"] == 40
    assert any("withheld" in error for error in errors), "the model's code failed"
    shifts = [r["shift"] for r in records.values() if r["shift"]]
    assert shifts, "an alarm was explained"
    assert all(shift["most_unlike"] == [] for shift in shifts)
    assert any(m["measure"] == "unseen" and m["effect"] for m in app.store.measures("tiny", "unseen.parquet"))


def test_no_value_is_shown(told: tuple[Application, list[str]], project: Project):
    app, errors = told
    found = json.dumps(shown(app), default=str) + "\n".join(errors) + (project.folder / "daemon.log").read_text()
    for value in (CANARY, NUMBER):
        assert value not in found, found[max(0, found.index(value) - 400) : found.index(value) + 100]
    assert "withheld" in found


def test_no_file_but_the_collected_rows_and_the_quarantine_has_a_value(
    told: tuple[Application, list[str]], project: Project
):
    app, _ = told
    data = app.settings.data_folder
    kept = (data / "collected", data / "inbox")
    files = [f for f in data.rglob("*") if f.is_file() and not any(f.is_relative_to(folder) for folder in kept)]
    assert {f.suffix for f in files} >= {".html", ".safetensors", ".json", ".db"}
    for file in files:
        assert CANARY.encode() not in file.read_bytes(), file
    quarantine = pq.read_table(data / "collected" / "tiny" / "quarantine" / "again.parquet.parquet")
    assert set(quarantine["detail"].to_pylist()) == {"withheld: the column is private"}
    assert CANARY in quarantine["content"][0].as_py(), "nothing is lost"


def test_categories_are_compared_all_the_same(told: tuple[Application, list[str]]):
    """As without privacy: the same shift, the same share of unseen rows."""
    app, _ = told
    unseen = {m["measure"]: m for m in app.store.measures("tiny", "unseen.parquet") if m["column"] == "colour"}
    assert unseen["unseen"]["statistic"] == 1.0
    good = {m["measure"]: m for m in app.store.measures("tiny", "good.parquet") if m["column"] == "colour"}
    assert good["unseen"]["statistic"] == 0.0
    assert good["linf"]["statistic"] < 0.2


@pytest.mark.parametrize(("private", "message"), [(["y"], "neither a feature nor the id"), (["day"], "and a segment")])
def test_what_cannot_be_private(private: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        Schema(features={"day": "categorical"}, id="row_id", segments=("day",), private=tuple(private))


def test_a_column_made_private_later_is_another_contract():
    plain = Schema(features={"day": "categorical"}, id="row_id")
    assert Schema(features={"day": "categorical"}, id="row_id", private=("day",)).fingerprint != plain.fingerprint
