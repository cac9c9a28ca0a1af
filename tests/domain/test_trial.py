"""A trial is a list of pairs; what is found in it is a function of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from monitor.domain.policy import Trigger
from monitor.domain.trial import Finding, Pair, Role, Trial, admitted, conclude

WATCH = Trial(role=Role.PREDECESSOR, champion=2, other=1, windows=6, trigger=Trigger.CHANGE)
SHADOW = replace(WATCH, role=Role.CANDIDATE, champion=1, other=2)


def played(trial: Trial, *z: float, ratio: float = 1.0, rows: int = 100) -> Trial:
    """A pair per z; the champion's loss is `ratio` of the other's where z is not 0."""
    for k, value in enumerate(z):
        loss = 0.5 * (ratio if value else 1.0)
        trial = trial.with_pair(Pair(batch=f"b{k}", rows=rows, champion=loss, other=0.5, z=value))
    return trial


def found(trial: Trial, *, drifting: bool = False) -> Finding | None:
    concluded = conclude(trial, min_increase=0.1, drifting=drifting)
    return concluded and concluded.finding


def test_nothing_is_found_before_its_windows():
    assert found(WATCH) is None
    assert found(played(WATCH, 0, 0, 0, 0, 0)) is None
    assert found(played(SHADOW, 3, 3, 3, 3, 3)) is None


def test_a_failure_is_found_in_the_middle_of_the_watch_and_by_what_happened_since():
    trial = played(WATCH, 0, 0, 3, 3, ratio=1.5)
    concluded = conclude(trial, min_increase=0.1, drifting=False)
    assert concluded is not None
    assert concluded.finding is Finding.FAILED
    assert concluded.reason == "loss 0.75 against 0.5 of version 1 on the same 200 rows of 2 batches"


def test_a_loss_that_is_surely_higher_but_by_little_is_no_failure():
    assert found(played(WATCH, 3, 3, 3, 3, 3, ratio=1.05)) is None
    assert found(played(WATCH, 3, 3, 3, 3, 3, 3, ratio=1.05)) is Finding.NO_DIFFERENCE


def test_a_world_that_is_harder_for_both_is_no_failure():
    harder = [Pair(batch=f"b{k}", rows=100, champion=9.0, other=9.0, z=0.0) for k in range(6)]
    assert found(replace(WATCH, pairs=tuple(harder)), drifting=True) is Finding.NO_DIFFERENCE


def test_it_helped_when_it_is_surely_better_and_performance_is_back():
    trial = played(WATCH, -3, -3, -3, -3, -3, -3, ratio=0.7)
    assert found(trial) is Finding.HELPED
    assert found(trial, drifting=True) is Finding.NO_DIFFERENCE


def test_windows_with_too_few_rows_count_and_say_nothing():
    trial = WATCH
    for k in range(6):
        trial = trial.with_pair(Pair(batch=f"b{k}", rows=3, champion=0.9, other=0.1, z=None))
    assert found(trial) is Finding.NO_DIFFERENCE


@pytest.mark.parametrize(
    ("kind", "z", "ratio", "passes"),
    [
        ("non_inferior", 0.1, 1.0, True),
        ("non_inferior", -3.0, 0.9, False),
        ("strict", 0.1, 1.0, False),
        ("strict", 3.0, 1.5, True),
        ("off", -3.0, 0.5, True),
    ],
)
def test_the_gate_has_the_last_word_on_a_candidate_in_shadow(kind: str, z: float, ratio: float, passes: bool):
    trial = played(SHADOW, *[z] * 6, ratio=ratio)
    assert found(trial) is Finding.SHADOW_OVER
    assert admitted(trial, kind, 0.02)[0] is passes


def test_a_version_that_cannot_score_ends_its_trial():
    assert found(replace(SHADOW, broken="it raised")) is Finding.BROKEN
    assert found(replace(WATCH, broken="it raised")) is Finding.NO_DIFFERENCE


def test_it_is_the_same_after_json():
    trial = replace(played(WATCH, 3.0, 0.5), scored=("b0", "b1", "b2"), answered=True)
    assert Trial.from_dict(json.loads(json.dumps(trial.to_dict()))) == trial
