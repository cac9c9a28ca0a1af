"""What `monitor status --explain` says about a shift."""

from __future__ import annotations

from monitor.cli.shift_view import shift_line, shift_rows
from monitor.domain.shift import FeatureShare, RowRatio, SegmentShare, Shift
from monitor.domain.shift_kind import ShiftKind
from monitor.stats.shift_evidence import Evidence


def test_every_number_has_a_name():
    evidence = Evidence(
        inputs_p=1e-9, inputs_effect=0.12, shares_p=0.2, fit_p=1e-8, fit_effect=0.1,
        labelled=150, loss_before=0.4, loss=0.7, by_inputs=0.45, by_shares=0.41,
    )  # fmt: skip
    shift = Shift(
        kind=ShiftKind.CONCEPT,
        reason="the loss rose by more than the moved inputs explain",
        evidence=evidence,
        batches=3,
        rows=1800,
        features=(FeatureShare(name="price", share=0.7),),
        segments=(SegmentShare(column="region", value="", rows=0.1, responsible=0.6),),
        most_unlike=(RowRatio(batch="b1", id="r7", ratio=12.34),),
    ).to_dict()
    assert shift_line(shift).plain == "concept  the loss rose by more than the moved inputs explain"
    assert dict(shift_rows(shift)) == {
        "  compared": "1,800 rows of 3 batches with the model's held-out rows",
        "  inputs": "told apart with an area under the curve of 0.62 (p 1e-09)",
        "  class shares": "p 0.2 that they are as before; held-out rows with these shares are told apart with 0.60",
        "  loss": "0.700 on 150 labelled rows; held out 0.400; moved inputs explain 0.450; class shares explain 0.410",
        "  features": "price 70%",
        "  segments": "region = missing: 60% of what tells them apart, 10% of the rows",
        "  rows": "r7 of b1: 12.3 times as common as among the held-out rows",
    }


def test_what_is_not_known_is_said_to_be():
    shift = Shift(
        kind=ShiftKind.UNDECIDED,
        reason="too few rows to compare",
        evidence=Evidence(inputs_p=None, inputs_effect=None, labelled=3),
        batches=1,
        rows=4,
    ).to_dict()
    assert dict(shift_rows(shift)) == {
        "  compared": "4 rows of 1 batch with the model's held-out rows",
        "  inputs": "too few rows to compare",
        "  loss": "3 rows labelled, too few to tell",
    }
