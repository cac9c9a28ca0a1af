"""Doubt as a timeline: one letter per window."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.label_trust import Doubt, LabelTrust, Standing, WindowSkill, examine, reject, release

T0 = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SKILL = {"g": 0.8, "h": 0.4, "b": 0.02, "w": -0.7}  # good, half, broken, worse than at random
PATIENCE = 4


def window(
    k: int, skill: float, *, revision: int = 1, error: float = 0.03, moved: bool = False, spread: float = 0.5
) -> WindowSkill:
    start = T0 + k * DAY
    return WindowSkill(
        batch=f"day_{k:02d}", start=start, end=start + DAY, rows=200, skill=skill, error=error, spread=spread,
        revision=revision, moved=moved,
    )  # fmt: skip


def play(days: str) -> tuple[str, LabelTrust]:
    """What became of each window when it came: `.` trusted, `H` held, `R` released with all that were held."""
    trust, out = LabelTrust(), ""
    for k, letter in enumerate(days):
        trust, changed = examine(trust, window(k, SKILL[letter]), patience=PATIENCE)
        out += {0: ".", 1: "H"}.get(len(changed), "R")
    return out, trust


@pytest.mark.parametrize(
    ("days", "became"),
    [
        ("ggggg", "....."),
        ("gggbg", "...H."),
        ("gggbbg", "...HH."),
        ("gggwg", "...H."),
        ("ggghhh", "......"),  # worse, but the labels still have to do with the rows
        ("bbbbb", "....."),  # nothing is known to be usual, then there is no skill to lose
        ("ggbbb", "...HH"),  # with two known windows too few to know, with three enough
        ("gggbbbb", "...HHHR"),  # it lasts: a change of the world
        ("gggbbbbbbb", "...HHHR..."),  # ... and this is what is usual now
        ("gggbbbbbbgggggb", "...HHHR.......H"),  # ... until the model has been made good again
        ("gggbbgbbbgbbb", "...HH.HHH.HHH"),  # held windows are not running when a trusted one lies between
    ],
)
def test_timeline(days, became):
    assert play(days)[0] == became


def test_labels_are_withheld_while_they_are_held_or_rejected():
    _, trust = play("gggbb")
    assert trust.withheld == {"day_03", "day_04"}
    trust, changed = reject(trust, [trust.doubts["day_03"]], reason="wrong file")
    assert [(d.batch, d.standing, d.reason) for d in changed] == [("day_03", Standing.REJECTED, "wrong file")]
    trust, _ = release(trust, ["day_04"], reason="right")
    assert trust.withheld == {"day_03"}
    assert [d.batch for d in trust.of(Standing.RELEASED)] == ["day_04"]


def test_what_was_released_is_what_is_usual_from_then_on():
    _, trust = play("gggbb")
    trust, _ = release(trust, ["day_03", "day_04"], reason="a new product")
    for k in range(5, 9):
        trust, changed = examine(trust, window(k, 0.02), patience=PATIENCE)
        assert not changed


@pytest.mark.parametrize("standing", [Standing.HELD, Standing.REJECTED])
def test_other_labels_that_fit_end_the_doubt_and_others_that_do_not_renew_it(standing):
    _, trust = play("gggb")
    if standing is Standing.REJECTED:
        trust, _ = reject(trust, [trust.doubts["day_03"]], reason="wrong file")
    again, changed = examine(trust, window(3, 0.02), patience=PATIENCE)
    assert (again, changed) == (trust, ()), "the same labels are no news"
    mended, changed = examine(trust, window(3, 0.79, revision=2), patience=PATIENCE)
    assert [(d.batch, d.standing) for d in changed] == [("day_03", Standing.RELEASED)]
    assert not mended.doubts
    held, changed = examine(trust, window(3, 0.05, revision=2), patience=PATIENCE)
    assert held.doubts["day_03"].standing is Standing.HELD
    assert held.doubts["day_03"].revision == 2


def test_few_rows_are_not_enough_to_doubt():
    _, trust = play("ggg")
    assert not examine(trust, window(3, 0.3, error=0.3), patience=PATIENCE)[1]
    assert examine(trust, window(3, 0.1, error=0.1), patience=PATIENCE)[1]


def test_nothing_is_held_without_patience_nor_where_skill_is_not_defined():
    _, trust = play("gggg")
    assert examine(trust, window(4, 0.0), patience=0) == (trust, ())
    assert examine(trust, window(4, float("nan")), patience=PATIENCE) == (trust, ())


def test_labels_that_are_all_alike_say_nothing_about_skill():
    """On such a window skill is 0 whatever the model knows; one with less spread than usual is doubted like others."""
    _, trust = play("gggg")
    assert examine(trust, window(4, 0.0, spread=0.1), patience=PATIENCE) == (trust, ())
    assert examine(trust, window(4, 0.0, spread=0.3), patience=PATIENCE)[1]


def test_whoever_is_asked_is_told_about_the_inputs():
    _, trust = play("ggg")
    for moved, words in ((True, "the inputs have moved as well"), (False, "the inputs lie still")):
        _, (doubt,) = examine(trust, window(3, 0.0, moved=moved), patience=PATIENCE)
        assert words in doubt.reason


@given(st.text(alphabet="ghbw", max_size=40))
def test_windows_held_running_never_reach_the_patience_and_the_state_survives_storage(days):
    _, trust = play(days)
    assert len(trust.running) < PATIENCE
    assert LabelTrust.from_dict(json.loads(json.dumps(trust.to_dict()))) == trust
    for doubt in trust.doubts.values():
        assert Doubt.from_dict(json.loads(json.dumps(doubt.to_dict()))) == doubt
