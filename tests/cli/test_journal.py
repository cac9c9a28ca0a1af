"""`monitor journal`: the entries of the store, a page at a time, without a daemon."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Monitor
from tests.support.project import Project

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()


@pytest.fixture
def copy(lived: Project, tmp_path: Path) -> Project:
    """For what changes something."""
    shutil.copytree(lived.folder, tmp_path / "copy")
    return Project(tmp_path / "copy", batches=lived.batches)


def test_every_decision_and_attempt_is_told_with_its_reason(monitor: Monitor, lived: Project):
    records = monitor("-c", lived.config, "history", "--json").lines
    entries = monitor("-c", lived.config, "journal", "--event", "decision", "--json").lines
    told = {entry["batch"]: (entry["decision"], entry["reason"]) for entry in entries}
    assert told == {record["batch"]: (record["decision"], record["decision_reason"]) for record in records}

    attempts = monitor("-c", lived.config, "journal", "tiny", "--event", "attempt", "--json").lines
    said = " ".join(monitor("-c", lived.config, "journal", "tiny", "--event", "attempt").out.split())
    assert attempts
    for attempt in attempts:
        assert f"{attempt['outcome']} {attempt['chosen']}, version {attempt['version']}" in said


def test_before_goes_on_backwards_to_the_first_entry(monitor: Monitor, lived: Project):
    everything = monitor("-c", lived.config, "journal", "--last", 1000, "--json").lines
    pages, before = [], []
    while page := monitor("-c", lived.config, "journal", "--last", 7, *before, "--json").lines:
        pages = [*page, *pages]
        before = ["--before", page[0]["number"]]
    assert pages == everything
    assert [entry["number"] for entry in everything] == sorted({entry["number"] for entry in everything})

    said = monitor("-c", lived.config, "journal", "-n", 7)
    assert f"earlier ones with --before {everything[-7]['number']}" in said.err


def test_it_fits_eighty_columns(monitor: Monitor, lived: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = monitor("-c", lived.config, "journal", "--last", 100)
    assert said.code == 0
    assert max(len(line) for line in said.out.splitlines()) <= 80


def test_what_no_entry_has_names_those_that_there_are(monitor: Monitor, lived: Project):
    said = monitor("-c", lived.config, "journal", "--event", "atempt")
    assert (said.code, said.out) == (0, "")
    assert "no such entry; the journal has attempt, attempt_begun, decision" in said.err
    assert monitor("-c", lived.config, "journal", "--event", "atempt", "--json").lines == []


def test_an_empty_journal_is_said_to_be_empty(monitor: Monitor, fresh: Project):
    assert monitor("-c", fresh.config, "journal").err == "tiny: the journal is empty\n"


def test_what_was_done_by_hand_and_what_went_wrong_is_in_it_and_every_event_on_the_page(
    monitor: Monitor, copy: Project
):
    config = copy.config
    assert monitor("-c", config, "models", "rollback", "--reason", "worse at night").code == 0
    weights = sorted((copy.folder / "var" / "models" / "tiny").rglob("model.json"))[0].parent
    assert monitor("-c", config, "models", "add", weights).code == 0
    assert monitor("-c", config, "labels", "reject", "batch_009", "--reason", "another year's").code == 0
    shutil.copyfile(copy.incoming / "batch_003.parquet", copy.incoming / "again.parquet")
    (copy.incoming / "cut.parquet").write_bytes((copy.incoming / "batch_003.parquet").read_bytes()[:900])
    (copy.labels / "cut.parquet").write_bytes(b"PAR1")
    monitor("-c", config, "once")

    out = monitor("-c", config, "journal", "--last", 1000).out
    said = " ".join(out.split())
    assert re.search(r"rolled_back version \d+, before that \d+: worse at night", said)
    assert "labels_rejected batch_009, by operator: another year's" in said
    assert "delivery again; reason same content as incoming/batch_003.parquet" in said
    entries = monitor("-c", config, "journal", "--last", 1000, "--json").lines
    seen = {entry["event"] for entry in entries}
    assert {"rolled_back", "model_added", "labels_rejected", "batch_duplicate", "delivery_bad"} <= seen
    section = PAGE.split("### `monitor journal`")[1].split("\n### ")[0]
    assert seen <= set(re.findall(r"`([a-z_]+)`", section))
    last = monitor("-c", config, "history").out.splitlines()[-1]
    assert last == "! cut: incoming/cut.parquet: truncated Parquet: 900 bytes and no footer; deliver the file again"
