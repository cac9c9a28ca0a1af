"""Each command on a project that has lived: what it prints, that its JSON is JSON, what it changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Monitor
from tests.support.project import Project


@pytest.fixture
def copy(lived: Project, tmp_path: Path) -> Project:
    """For commands that change something."""
    shutil.copytree(lived.folder, tmp_path / "copy")
    return Project(tmp_path / "copy", batches=lived.batches)


def test_status_shows_batch_verdicts_performance_model_and_what_is_next(monitor: Monitor, lived: Project):
    said = monitor("-c", lived.config, "status")
    assert said.code == 0
    for words in ("batch_011", "120 rows", "inputs", "drift", "(a)", "accuracy", "held out", "version", "every 1 s"):
        assert words in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 120


def test_status_fits_eighty_columns(monitor: Monitor, lived: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    for command in (["status"], ["history"], ["models", "list"], ["models", "show", "1"]):
        said = monitor("-c", lived.config, *command)
        assert said.code == 0
        assert max(len(line) for line in said.out.splitlines()) <= 80


def test_status_as_json(monitor: Monitor, lived: Project):
    (status,) = monitor("-c", lived.config, "status", "--json").json
    assert status["deployment"] == "tiny"
    assert status["last"]["batch"] == "batch_011"
    assert status["last"]["channels"]["inputs"]["verdict"] == "drift"
    assert status["last"]["age_seconds"] > 0
    assert status["performance"]["batch"] == "batch_009"
    assert status["unlabelled_batches"] >= 1


def test_history_as_json_is_one_record_per_line_oldest_first(monitor: Monitor, lived: Project):
    records = monitor("-c", lived.config, "history", "--json", "--last", "5").lines
    assert [r["batch"] for r in records] == [f"batch_{k:03d}" for k in range(7, 12)]
    assert {"verdicts", "decision", "decision_reason", "performance", "label_prior", "seconds"} <= set(records[0])


def test_history_says_how_much_it_left_out(monitor: Monitor, lived: Project):
    said = monitor("-c", lived.config, "history", "tiny", "-n", "3")
    assert [line.split()[2] for line in said.out.splitlines()[1:4]] == ["batch_009", "batch_010", "batch_011"]
    assert "the last 3 of 12" in said.err


def test_models_list_marks_the_champion(monitor: Monitor, lived: Project):
    versions = monitor("-c", lived.config, "models", "list", "--json").json
    assert [v["version"] for v in versions] == list(range(1, len(versions) + 1))
    assert [v["version"] for v in versions if "champion" in v["aliases"]] == [len(versions)]
    assert versions[0]["origin"] == "initial"
    assert "champion" in monitor("-c", lived.config, "models", "list").out


def test_models_show_has_the_lineage(monitor: Monitor, lived: Project):
    said = monitor("-c", lived.config, "models", "show", "2")
    assert said.code == 0
    assert "batch_000 (120)" in said.out
    assert "became champion" in said.out
    shown = monitor("-c", lived.config, "models", "show", "v2", "--json").json
    assert shown["lineage"]["batches"]["batch_000"] == 120
    assert shown["moves"][0]["version"] == 2


def test_an_unknown_version_lists_the_known_ones(monitor: Monitor, lived: Project):
    said = monitor("-c", lived.config, "models", "show", "99")
    assert said.code == 2
    assert "no version '99'; known are 1, 2" in said.err


def test_to_promote_the_champion_changes_nothing(monitor: Monitor, copy: Project):
    before = monitor("-c", copy.config, "models", "show", champion_of(monitor, copy), "--json").json
    version = before["version"]
    said = monitor("-c", copy.config, "models", "promote", version, "--reason", "twice")
    assert (said.code, said.out) == (0, f"tiny: version {version} is the champion already; nothing was changed\n")
    again = monitor("-c", copy.config, "models", "promote", version, "--json").json
    assert again == {"deployment": "tiny", **before["moves"][-1]}
    assert monitor("-c", copy.config, "models", "show", version, "--json").json == before
    back = monitor("-c", copy.config, "models", "rollback", "--json").json
    assert (back["version"], back["previous"]) == (before["moves"][-1]["previous"], version), "not to itself"


def champion_of(monitor: Monitor, project: Project) -> int:
    versions = monitor("-c", project.config, "models", "list", "--json").json
    return next(v["version"] for v in versions if "champion" in v["aliases"])


def test_rollback_and_promote_move_the_champion_and_keep_the_reason(monitor: Monitor, copy: Project):
    config = copy.config
    last = len(monitor("-c", config, "models", "list", "--json").json)
    back = monitor("-c", config, "models", "rollback", "--reason", "it was worse", "--json").json
    assert (back["version"], back["previous"], back["reason"]) == (last - 1, last, "it was worse")
    said = monitor("-c", config, "models", "promote", last, "--reason", "no, it was not")
    assert said.out == f"tiny: the champion is version {last}, before that version {last - 1}\n"
    assert "no, it was not" in monitor("-c", config, "models", "show", last).out


def test_adding_a_model_makes_a_candidate(monitor: Monitor, copy: Project):
    version = len(monitor("-c", copy.config, "models", "list", "--json").json)
    weights = copy.folder / "var" / "models" / "tiny"
    (saved, *_) = sorted(weights.rglob("model.json"))
    added = monitor("-c", copy.config, "models", "add", saved.parent, "--json").json
    assert (added["version"], added["origin"], added["aliases"]) == (version + 1, "added", ["candidate"])


def test_a_dry_run_changes_nothing_and_a_rejected_candidate_is_exit_5(monitor: Monitor, copy: Project):
    before = monitor("-c", copy.config, "models", "list", "--json").json
    dry = monitor("-c", copy.config, "retrain", "--dry-run", "--json")
    assert (dry.code, dry.json["dry_run"], dry.json["version"]) == (0, True, None)
    assert monitor("-c", copy.config, "models", "list", "--json").json == before
    real = monitor("-c", copy.config, "retrain", "--json")
    assert real.code == (0 if real.json["outcome"] == "promote" else 5)
    assert (real.json["version"] is not None) == (real.code == 0)


def test_retrain_shows_every_candidate_beside_the_champion(monitor: Monitor, copy: Project):
    said = monitor("-c", copy.config, "retrain", "--dry-run")
    for words in ("champion", "all", "recent_1x", "← chosen", "accuracy", "held out"):
        assert words in said.out


def test_retrain_for_approval_keeps_a_candidate_of_the_named_ones(monitor: Monitor, copy: Project):
    champion = len(monitor("-c", copy.config, "models", "list", "--json").json)
    copy.configure({"detect": {"rule": "per_batch"}, "gate": {"kind": "off"}})
    since = "2026-01-05T02:00:00"  # the third batch's hour
    kept = monitor("-c", copy.config, "retrain", "--approve", "--candidates", "all", "--since", since)
    assert kept.code == 0
    assert f"version {champion + 1} waits: monitor models promote" in kept.out
    (status,) = monitor("-c", copy.config, "status", "--json").json
    assert (status["model"]["version"], status["beside"]["candidate"]) == (champion, champion + 1)
    assert "waits: monitor models promote tiny" in monitor("-c", copy.config, "status").out
    lineage = monitor("-c", copy.config, "models", "show", champion + 1, "--json").json["lineage"]
    assert not {"training", "batch_000"} & set(lineage["batches"])
    promoted = monitor("-c", copy.config, "models", "promote", champion + 1, "--json").json
    assert promoted["version"] == champion + 1
    (status,) = monitor("-c", copy.config, "status", "--json").json
    assert (status["beside"]["trial"]["other"], status["beside"]["candidate"]) == (champion, None)


def test_a_candidate_that_does_not_exist_is_an_error(monitor: Monitor, lived: Project):
    said = monitor("-c", lived.config, "retrain", "--candidates", "al")
    assert said.code == 2
    assert "unknown candidate 'al'; did you mean 'all'?" in said.err
    assert monitor("-c", lived.config, "retrain", "--dry-run", "--approve").code == 2


def test_once_prints_a_line_per_batch_and_fails_on_drift_when_asked(monitor: Monitor, copy: Project):
    copy.add_batch(shift=3.0)
    copy.add_batch(shift=3.0)
    said = monitor("-c", copy.config, "once", "--fail-on-drift", "--json")
    assert said.code == 1
    assert [r["batch"] for r in said.lines] == ["batch_012", "batch_013"]
    again = monitor("-c", copy.config, "once", "--fail-on-drift")
    assert (again.code, again.out) == (0, "")
    assert "0 batches judged" in again.err


def test_once_says_why_a_batch_is_bad(monitor: Monitor, copy: Project):
    name = copy.add_batch()
    file = copy.incoming / f"{name}.parquet"
    file.write_bytes(file.read_bytes()[:200])
    said = monitor("-c", copy.config, "once")
    assert said.code == 0
    assert "bad data" in said.out
    assert f"{name}.parquet" in said.out.replace("\n", "")
    report = monitor("-c", copy.config, "report", "tiny", name)
    assert report.code == 2
    assert f"'{name}' was not scored, so that there is nothing to report" in report.err


def test_labels_import_joins_and_says_so(monitor: Monitor, copy: Project):
    rows = pq.read_table(copy.incoming / "batch_011.parquet").column("row_id")
    file = copy.folder / "late.parquet"
    pq.write_table(pa.table({"row_id": rows, "y": ["UP"] * len(rows)}), file)
    counts = monitor("-c", copy.config, "labels", "import", file, "--json")
    assert counts.code == 0, counts.err
    assert (counts.json["rows"], counts.json["joined"], counts.json["windows"]) == (120, 120, 1)
    (record,) = monitor("-c", copy.config, "history", "--json", "-n", "1").lines
    assert record["performance"]["labels_coverage"] == 1.0
    again = monitor("-c", copy.config, "labels", "import", "tiny", file)
    assert again.code == 0
    assert "imported before" in again.out


def test_labels_import_of_a_file_that_is_refused_leaves_nothing_waiting(monitor: Monitor, copy: Project):
    file = copy.folder / "wrong.csv"
    file.write_text("row_id,label\nr1,UP\n")
    said = monitor("-c", copy.config, "labels", "import", file)
    assert said.code == 1
    assert said.err.count("wrong.csv") == 1, "told once"
    assert monitor("-c", copy.config, "status", "--json").json[0]["labels_waiting"] == 0
    assert monitor("-c", copy.config, "labels", "import", file).code == 1, "and is refused again"


def test_labels_import_of_no_file(monitor: Monitor, lived: Project):
    said = monitor("-c", lived.config, "labels", "import", "nowhere.parquet")
    assert said.code == 3
    assert "nowhere.parquet" in said.err


def test_a_report_of_an_unknown_batch(monitor: Monitor, lived: Project):
    said = monitor("-c", lived.config, "report", "batch_999")
    assert said.code == 2
    assert "batch_999" in said.err


@pytest.mark.slow
def test_a_report_is_a_page(monitor: Monitor, copy: Project):
    said = monitor("-c", copy.config, "report", "batch_011", "--json")
    assert said.code == 0, said.err
    page = Path(json.loads(said.out)["report"])
    assert "<title>tiny: batch_011 against" in page.read_text()


def test_before_anything_happened(monitor: Monitor, fresh: Project):
    said = monitor("-c", fresh.config, "status")
    assert "none yet" in said.out
    assert monitor("-c", fresh.config, "status", "--json").json[0]["last"] is None
    assert "no batch was judged yet" in monitor("-c", fresh.config, "history").err
    assert monitor("-c", fresh.config, "history", "--json").lines == []
    assert "no version yet" in monitor("-c", fresh.config, "models", "list").err
    assert monitor("-c", fresh.config, "retrain").code == 2
    assert monitor("-c", fresh.config, "models", "rollback").code == 2
