"""Values of private columns are in the collected rows and in the quarantine file, and nowhere else.

Everything that can go wrong with rows goes wrong here, with values that are easy to find again.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry

from monitor.adapters.logging_setup import configure
from monitor.app.retrain_model import Orders
from monitor.bootstrap import Application, open_application
from monitor.cli.main import main
from monitor.domain.batch import DeliveryKind
from monitor.domain.private import WITHHELD
from monitor.domain.schema import Schema
from monitor.errors import ConfigError, DataError, MonitorError
from monitor.web.http_app import create_http_app
from monitor.web.serve import serve
from monitor.web.server import HttpServer
from tests.support import quoting_model
from tests.support.project import HOUR, START, Project, make_rows
from tests.support.quoting_model import TOO_LARGE

MODEL = Path(quoting_model.__file__)
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
    project = Project.create(tmp_path_factory.mktemp("private") / "project", model=MODEL, changes=CHANGES)
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
        app.report("tiny", "good.parquet")
        attempt = app.retrain("tiny", Orders(mode="dry_run"), lambda share, what: None)
        assert attempt["outcome"] == "failed"
        errors.append(json.dumps(attempt, default=str))
        refused_training(app, errors)
        pushed(app, errors)
        late = rows(60, 6, 8000).drop_columns(["y"])
        large = pa.array([2 * TOO_LARGE] * late.num_rows)
        project.write(project.incoming / "late.parquet", late.set_column(late.column_names.index("b"), "b", large))
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
    out_of_place(project)
    contradictory = pa.table({"row_id": [f"{CANARY}-r1", f"{CANARY}-r1"], "y": ["UP", "DOWN"]})
    project.write(project.labels / "contradictory.parquet", contradictory)


def out_of_place(project: Project) -> None:
    """Values that stand where names should be, under another name, or in a type that lists them."""
    row = f"{CANARY},2026-01-05T08:00:00Z,1,2,{CANARY}-red,{NUMBER}\n"
    (project.incoming / "headless.csv").write_text(row * 2)
    (project.incoming / "twice-headless.csv").write_text(f"{NUMBER},{NUMBER},1\n")
    extra = rows(60, 8, 9500).drop_columns(["y"])
    extra = extra.append_column(f"{CANARY}-column", pa.array([1] * 60))
    project.write(project.incoming / "extra.parquet", extra)
    shifted = f"other,2026-01-05T09:00:00Z,{CANARY},1,2,{NUMBER}\nnext,{CANARY},1,1,2,3\n"
    (project.incoming / "shifted.csv").write_text(f"row_id,at,a,b,colour,card\n{shifted}" + row)
    cards = pl.Series("card", [CANARY], dtype=pl.Enum([CANARY, NUMBER]))
    enum = pl.DataFrame({"row_id": ["e"], "at": [START], "a": [1.0], "b": [1.0], "colour": ["red"]})
    enum.with_columns(cards).write_parquet(project.incoming / "enum.parquet")


def refused_training(app: Application, errors: list[str]) -> None:
    """Rows that are trained on may be wrong as well; what is logged of them is as careful."""
    made = rows(20, 0, 9000)
    bad = made.set_column(made.column_names.index("card"), "card", pa.array([CANARY] * 20))
    file = app.settings.project / "bad-training.csv"
    arrow_csv.write_csv(bad, file)
    try:
        app.runtime("tiny").read_labelled(str(file), "training.path")
    except MonitorError as exc:
        errors.append(str(exc))


def pushed(app: Application, errors: list[str]) -> None:
    header = "row_id,at,a,b,colour,card\n"
    row = f"{CANARY},2026-01-05T00:00:00Z,1,2,{CANARY},{CANARY}\n"
    answer = app.push("tiny", DeliveryKind.BATCH, "pushed", ".csv", (header + row).encode())
    assert answer.rejected == 1
    errors.append(json.dumps(answer.to_dict(), default=str))
    labels = f"row_id,y\n{CANARY}-r2,UP\n{CANARY}-r2,DOWN\n"
    answer = app.push("tiny", DeliveryKind.LABELS, "pushed", ".csv", labels.encode())
    assert answer.rejected == 2
    errors.append(json.dumps(answer.to_dict(), default=str))
    with pytest.raises(DataError) as caught:
        app.push("tiny", DeliveryKind.BATCH, "broken", ".csv", f"row_id,at\n{CANARY},x\n".encode())
    errors.append(str(caught.value))


def shown(app: Application) -> dict[str, Any]:
    """All that the store has to show."""
    store = app.store
    return {
        "records": store.records("tiny"),
        "measures": [app.measures("tiny", record["batch"]) for record in store.records("tiny")],
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
    assert records["shifted.csv"]["quarantined"] == 2
    bad = {name for name, record in records.items() if record["verdicts"]["inputs"]["verdict"] == "bad_data"}
    assert {"headless.csv", "twice-headless.csv", "enum.parquet"} <= bad
    assert "missing column" in records["headless.csv"]["verdicts"]["inputs"]["reason"]
    assert sum("ValueError, whose text is withheld" in error for error in errors) == 2, "in `fit` and in `predict`"
    shifts = [r["shift"] for r in records.values() if r["shift"]]
    assert shifts, "an alarm was explained"
    assert all(shift["most_unlike"] == [] for shift in shifts)
    assert any(m["measure"] == "unseen" and m["effect"] for m in app.measures("tiny", "unseen.parquet"))


def test_no_value_is_shown(told: tuple[Application, list[str]], project: Project):
    app, errors = told
    found = json.dumps(shown(app), default=str) + "\n".join(errors) + (project.folder / "daemon.log").read_text()
    hidden(found)
    assert "withheld" in found


def hidden(found: str) -> None:
    """Neither a value nor what stands for one."""
    for value in (CANARY, NUMBER, "private:"):
        assert value not in found, found[max(0, found.index(value) - 400) : found.index(value) + 100]


def test_no_page_shows_a_value(told: tuple[Application, list[str]]):
    app, _ = told
    pages = []
    with serve(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        described = client.get("/api/v1/openapi.json").json()["paths"]
        for path in ["/metrics", *(path for path, ways in described.items() if "get" in ways)]:
            for batch in ("good.parquet", "unseen.parquet", "headless.csv", "shifted.csv"):
                answer = client.get(path.format(name="tiny", batch=batch, version=1), params={"last": 100})
                assert answer.status_code in (200, 404)
                pages.append(answer.text)
    assert "unseen" in "".join(pages)
    hidden("".join(pages))


@pytest.mark.parametrize("command", ["status --explain", "history", "models list", "labels held", "models show 1"])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_command_shows_a_value(
    told: tuple[Application, list[str]], project: Project, capsys: pytest.CaptureFixture[str],
    command: str, form: list[str],
):  # fmt: skip
    root = logging.getLogger()
    handlers = root.handlers[:]
    code = main(["-c", str(project.config), *command.split(), *form])
    root.handlers[:] = handlers
    said = capsys.readouterr()
    assert code == 0, said.err
    hidden(said.out + said.err)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_comparison_by_hand_shows_no_value(project: Project, capsys: pytest.CaptureFixture[str], form: list[str]):
    schema = ["--schema", str(project.config / "deployments" / "tiny.yaml"), *form]
    files = [str(project.folder / "training.parquet"), str(project.incoming / "unseen.parquet")]
    assert main(["compare", *files, *schema]) == 1
    assert main(["compare", files[0], str(project.incoming / "nested.jsonl"), *schema]) == 1
    said = capsys.readouterr()
    assert "withheld" in said.out + said.err
    hidden(said.out + said.err)


def test_a_request_that_crashes_quotes_nothing(told: tuple[Application, list[str]]):
    app, _ = told
    log, root = io.StringIO(), logging.getLogger()
    handlers = root.handlers[:]
    http = app.settings.http
    web = create_http_app(CollectorRegistry(), lambda: None, lambda: http, configure("json", "debug", stream=log))
    web.state.application = app

    @web.get("/crash")
    def crash() -> None:
        row = {"card": CANARY}
        raise KeyError(row["card"])

    with HttpServer(web, http) as server:
        assert httpx.get(f"{server.url}/crash").status_code == 500
    root.handlers[:] = handlers
    assert "request_crashed" in log.getvalue()
    hidden(log.getvalue())


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
    assert set(quarantine["detail"].to_pylist()) == {WITHHELD}
    assert CANARY in quarantine["content"][0].as_py(), "nothing is lost"


def test_categories_are_compared_all_the_same(told: tuple[Application, list[str]]):
    """As without privacy: the same shift, the same share of unseen rows."""
    app, _ = told
    unseen = {m["measure"]: m for m in app.measures("tiny", "unseen.parquet") if m["column"] == "colour"}
    assert unseen["unseen"]["statistic"] == 1.0
    good = {m["measure"]: m for m in app.measures("tiny", "good.parquet") if m["column"] == "colour"}
    assert good["unseen"]["statistic"] == 0.0
    assert good["linf"]["statistic"] < 0.2


@pytest.mark.parametrize(("private", "message"), [(["y"], "neither a feature nor the id"), (["day"], "and a segment")])
def test_what_cannot_be_private(private: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        Schema(features={"day": "categorical"}, id="row_id", segments=("day",), private=tuple(private))


def test_a_column_made_private_later_is_another_contract():
    plain = Schema(features={"day": "categorical"}, id="row_id")
    assert Schema(features={"day": "categorical"}, id="row_id", private=("day",)).fingerprint != plain.fingerprint
