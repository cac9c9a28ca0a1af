"""Every candidate on request, and one's own, trained in the child as a user would have them."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.domain.gate import GateKind
from monitor.domain.model_reference import ModelReference
from monitor.errors import ModelError
from tests.adapters.test_refusals import RULE, T0, job, rows, snapshot, train

OFF = dataclasses.replace(RULE, kind=GateKind.OFF)
OWN = """
import numpy as np

def mine(data, situation):
    assert list(data.features.columns) == ["a", "a_south", "side"]
    assert len(situation.times) == len(data.target) and situation.window_rows == 600
    assert len(situation.current) == 300 and situation.prior == {"UP": 0.7, "DOWN": 0.3}
    return np.arange(len(data.target)) >= 400

def broken(data, situation):
    return data.no_such_thing

def empty(data, situation):
    return np.zeros(len(data.target), dtype=bool)
"""


def requested(tmp_path, names: list[str], **changes):
    file = snapshot(tmp_path / "rows.parquet", rows(1000, 1), rows(1000, 2))
    current = tmp_path / "current.parquet"
    pq.write_table(rows(300, 3).select(["a", "a_south", "side"]), current)
    own = tmp_path / "selection.py"
    own.write_text(OWN)
    base = {
        "candidates": names,
        "current": current,
        "prior": {"UP": 0.7, "DOWN": 0.3},
        "change": T0 + timedelta(hours=1000),
        "selections": {name: own for name in names if ":" in name},
        "gate": OFF,
    }
    return job(tmp_path, file, **{**base, **changes})


def test_all_candidates_on_request_are_trained_and_say_what_they_counted(tmp_path):
    names = ["since_change", "importance", "prior", "replay", "curated", "selection.py:mine"]
    result = train(requested(tmp_path, names))
    assert result.refused == {}
    assert set(result.losses) == set(names)
    assert max(result.losses.values()) < 0.5
    facts = result.facts
    assert {name: facts[name]["rows"] for name in names if name != "curated"} == {
        "since_change": 400, "importance": 1400, "prior": 1400, "replay": 600, "selection.py:mine": 1000,
    }  # fmt: skip
    assert facts["replay"]["replayed"] == 300
    assert facts["importance"]["effective_rows"] > 1200  # the current rows look like all others
    assert 1000 < facts["prior"]["effective_rows"] < 1400
    assert facts["curated"]["rows"] + facts["curated"]["suspected_labels"] == 1400


def test_curation_finds_wrong_labels_and_helps(tmp_path):
    """A fifth of the labels of the training rows are the other one."""
    known = rows(1400, 4)
    wrong = np.random.default_rng(0).random(1400) < 0.2
    y = np.where(wrong, np.where(known["y"].to_numpy() == "UP", "DOWN", "UP"), known["y"].to_numpy())
    file = snapshot(tmp_path / "rows.parquet", known.set_column(3, "y", pa.array(y)), rows(600, 5))
    result = train(job(tmp_path, file, candidates=["all", "curated"], gate=OFF))
    assert result.chosen == "curated"
    assert 0.6 * wrong.sum() < result.facts["curated"]["suspected_labels"] < 2.0 * wrong.sum()


def test_the_reference_of_a_curated_version_is_of_its_own_held_out_rows(tmp_path):
    """Rows are left out in the middle of the held-out block, and the others keep their scores."""
    made = requested(tmp_path, ["curated"])
    result = train(made)
    reference = ModelReference.from_bytes((made.staging / "reference.safetensors").read_bytes())
    assert result.rows < 2000
    assert reference.held_out_rows == 600
    held_out = pq.read_table(made.snapshot).slice(1400)
    assert np.array_equal(reference.held_out.features, reference.held_out.encode(held_out))


def test_an_own_selection_is_kept_with_the_version(tmp_path):
    made = requested(tmp_path, ["selection.py:mine"])
    result = train(made)
    assert result.outcome == "promote" and result.rows == 1600
    assert (made.staging / "selection.py").read_text() == OWN


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("selection.py:broken", r"selection\.py, line 11, in broken: AttributeError"),
        ("selection.py:empty", r"selection\.py, empty: no row is left"),
        ("selection.py:nothing", r"defines no function `nothing`"),
    ],
)
def test_an_own_selection_that_fails_leaves_the_others_to_be_trained(tmp_path, name, why):
    result = train(requested(tmp_path, [name, "all"]))
    assert result.chosen == "all"
    assert list(result.refused) == [name]
    assert re.search(why, result.refused[name])
    if name.endswith("broken"):
        with pytest.raises(ModelError, match="no candidate could be trained"):
            train(requested(tmp_path, [name]))


def test_candidates_that_the_rows_do_not_allow_are_refused_with_the_reason(tmp_path):
    names = ["all", "since_change", "importance", "prior"]
    result = train(requested(tmp_path, names, change=None, current=None, prior={}))
    assert list(result.losses) == ["all"]
    assert result.refused == {
        "since_change": "no change is known: no alarm stands",
        "importance": "there are no current rows to compare with",
        "prior": "the shares of the classes are not estimated",
    }
