"""Scores corrected for the class shares of a batch: served or only kept, and what they are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.app.retrain_model import Orders
from monitor.bootstrap import open_application
from tests.support.project import Project

USUAL, SHIFTED = ["batch_000", "batch_001"], ["batch_002", "batch_003"]


class Switches:
    """A log that keeps what is said about the correction."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []

    def info(self, event: str, **fields: Any) -> None:
        if event == "prior_correction":
            self.seen.append((fields["batch"], fields["corrected"]))

    def warning(self, event: str, **fields: Any) -> None:
        raise AssertionError((event, fields))

    error = warning


def lived(folder: Path, *, correct: bool, shares: str = "em") -> tuple[dict[str, Any], list[tuple[str, bool]]]:
    """Two usual batches, two of nearly one class, two usual ones; records and logged switches."""
    changes = {"retrain": {"mode": "off"}, "predictions": {"correct_prior": correct, "shares": shares}}
    project = Project.create(folder, changes={**changes, "detect": {"export": ["psi"]}})
    project.batch_rows = 500
    for share in (None, None, 0.95, 0.95, None, None):
        project.add_batch(**({} if share is None else {"share": share}))
    log = Switches()
    with open_application(project.config, log=log) as app:
        app.once()
        records = {record["batch"]: record for record in app.store.records("tiny")}
        for batch in records:
            later = [measure for measure in app.measures("tiny", batch) or () if measure["measure"] == "psi"]
            assert app.store.measures("tiny", batch) == later, "of what the model said, whatever was served"
    return records, log.seen


def columns(folder: Path, batch: str) -> list[str]:
    (file,) = (folder / "var" / "collected" / "tiny" / "rows").glob(f"*/{batch}.parquet")
    return [name for name in pq.read_schema(file).names if ":" in name]


def test_corrected_scores_are_served_when_asked_for_and_only_kept_when_not(tmp_path):
    served, switches = lived(tmp_path / "served", correct=True)
    kept, never = lived(tmp_path / "kept", correct=False)
    assert switches == [("batch_002", True), ("batch_004", False)]
    assert never == []
    for batch in SHIFTED:
        assert (served[batch]["prior_corrected"], kept[batch]["prior_corrected"]) == (True, False)
        share = served[batch]["label_prior"]["UP"]
        assert share["low"] <= 0.95 <= share["high"]
        one, other = served[batch]["performance"], kept[batch]["performance"]
        assert one["realised"] > other["realised"] + 0.02
        assert (one["raw"], one["corrected"]) == (other["realised"], None)
        assert (other["raw"], other["corrected"]) == (None, one["realised"])
        assert columns(tmp_path / "served", batch) == ["score:DOWN", "score:UP", "raw:DOWN", "raw:UP"]
        assert columns(tmp_path / "kept", batch) == ["score:DOWN", "score:UP", "corrected:DOWN", "corrected:UP"]
    for batch in USUAL:
        assert not served[batch]["prior_corrected"]
        assert served[batch]["performance"] == kept[batch]["performance"]
        assert columns(tmp_path / "served", batch) == ["score:DOWN", "score:UP"]
        assert served[batch]["label_fit"] > 0.001


def test_a_correction_that_the_labels_refute_is_kept_beside_and_served_no_longer(tmp_path):
    """The inputs look as if nearly all rows were UP; but what is UP at each of them is as ever."""
    changes = {"retrain": {"mode": "off"}, "predictions": {"correct_prior": True}}
    project = Project.create(tmp_path / "project", changes=changes)
    project.batch_rows = 2000
    for k in range(8):
        project.write_batch(project.next_rows() if k < len(USUAL) else misleading(project))
    log = Switches()
    with open_application(project.config, log=log) as app:
        app.once()
        records = {record["batch"]: record for record in app.store.records("tiny")}
    assert log.seen == [("batch_002", True), ("batch_004", False)]
    first, last = records["batch_002"]["performance"], records["batch_006"]["performance"]
    assert first["realised"] < first["raw"] and first["corrected"] is None
    assert last["realised"] > last["corrected"] and last["raw"] is None


def misleading(project: Project) -> pa.Table:
    rows = project.next_rows(share=0.95)
    up = project.rng.random(len(rows)) < 1 / (1 + np.exp(-2.5 * rows["a"].to_numpy()))
    return rows.set_column(rows.schema.get_field_index("y"), "y", pa.array(np.where(up, "UP", "DOWN")))


def test_the_way_shares_are_estimated_can_be_chosen(tmp_path):
    (soft, switches), (drawn_to_1, others) = (
        lived(tmp_path / shares, correct=True, shares=shares) for shares in ("bbse_soft", "rlls")
    )
    assert switches == others == [("batch_002", True), ("batch_004", False)]
    for batch in SHIFTED:
        one, other = soft[batch], drawn_to_1[batch]
        assert one["label_prior"] != other["label_prior"]
        for seen in (one, other):
            assert seen["label_prior"]["UP"]["low"] <= 0.95 <= seen["label_prior"]["UP"]["high"]
            assert seen["performance"]["realised"] > seen["performance"]["raw"] + 0.02


def test_what_is_judged_are_the_scores_of_the_model(tmp_path):
    served, _ = lived(tmp_path / "served", correct=True)
    kept, _ = lived(tmp_path / "kept", correct=False)
    for batch, record in served.items():
        for channel in ("inputs", "predictions", "labels"):
            assert record["verdicts"][channel] == kept[batch]["verdicts"][channel]


def test_rows_with_other_scores_beside_them_are_trained_on(tmp_path):
    lived(tmp_path / "project", correct=True)
    project = Project(tmp_path / "project", batches=6)
    project.configure({"predictions": {"correct_prior": True}})
    with open_application(project.config) as app:
        attempt = app.retrain("tiny", Orders(mode="dry_run"), lambda done, word: None)
    assert attempt["outcome"] in ("promote", "keep", "reject"), attempt
    assert attempt["rows"] > 800
