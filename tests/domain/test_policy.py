"""Behaviour over time is a string: one letter per batch in, one letter per decision out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.policy import (
    Decision,
    PolicyRule,
    PolicyState,
    Seen,
    Trigger,
    attempted,
    decide,
    helped,
    observe,
    rolled_back,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
RULE = PolicyRule(
    enabled=True,
    new_labels=1000,
    min_labels=200,
    min_batches=2,
    on_change=True,
    on_distance=True,
    cooldown_batches=2,
    max_per_week=7,
    max_failures=3,
)
NO_CALENDAR = replace(RULE, new_labels=10_000)  # alarms alone
DONE = {
    Decision.IDLE: ".",
    Decision.WAIT_DATA: "?",
    Decision.WAIT_LABELS: "l",
    Decision.WAIT_COOLDOWN: "c",
    Decision.WAIT_BACKOFF: "b",
    Decision.WAIT_BUDGET: "$",
    Decision.WATCH: "w",
    Decision.RETRAIN: "R",
    Decision.ESCALATE: "!",
    Decision.OFF: "o",
}


def play(batches: str, *, promotes: bool, rule: PolicyRule = RULE, hours: float = 24.0) -> str:
    """c: clear, d: drift that may retrain, w: drift that may not, x: bad data; each batch brings 100 labelled rows."""
    state, out, new_rows, new_batches = PolicyState(), "", 0, 0
    for i, letter in enumerate(batches):
        now = T0 + timedelta(hours=hours * i)
        new_rows, new_batches = new_rows + 100, new_batches + 1
        seen = Seen(
            now=now,
            judged=letter != "x",
            alarm=("performance",) if letter == "d" else (),
            watched=("inputs",) if letter == "w" else (),
            new_labels=new_rows,
            new_batches=new_batches,
        )
        state = observe(state, seen)
        decision = decide(state, seen, rule).decision
        out += DONE[decision]
        if decision is Decision.RETRAIN:
            state = attempted(state, now, promoted=promotes, alarm=letter == "d")
            new_rows, new_batches = 0, 0
    return out


@pytest.mark.parametrize(
    ("batches", "decisions"),
    [
        ("cccccccccc", ".........R"),  # enough new labels
        ("cccc", "...."),
        ("cw", ".w"),
        ("cd", ".R"),  # a change brings the attempt forward
        ("d", "l"),  # but not without labels
        ("xxd", "??R"),  # bad data decides nothing, and its neighbours' labels count
    ],
)
def test_timeline_when_nothing_is_promoted(batches, decisions):
    assert play(batches, promotes=False) == decisions


def test_an_alarm_that_retraining_does_not_clear_is_tried_after_3_then_6_batches_and_then_escalated():
    got = play("c" + "d" * 30, promotes=False, rule=NO_CALENDAR)
    attempts = [i for i, decision in enumerate(got) if decision == "R"]
    assert [b - a for a, b in pairwise(attempts)] == [3, 6]
    assert set(got[attempts[-1] + 1 :]) == {"!"}


def test_enough_new_labels_are_tried_whatever_became_of_the_alarm():
    got = play("c" + "d" * 60, promotes=False)
    attempts = [i for i, decision in enumerate(got) if decision == "R"]
    assert attempts[:3] == [1, 4, 10]
    assert [b - a for a, b in pairwise(attempts[2:])] == [10] * len(attempts[3:])  # 1,000 rows, 100 a batch


def test_a_promotion_that_leaves_the_alarm_open_is_no_help():
    got = play("c" + "d" * 30, promotes=True, rule=NO_CALENDAR)
    assert got.count("R") == RULE.max_failures
    assert got.endswith("!")


def test_distance_brings_attempts_forward_and_makes_them_no_more_frequent():
    rule, state, attempts, rows = replace(RULE, new_labels=1000), PolicyState(), [], 0
    for batch in range(60):
        rows += 100
        far = Seen(now=T0 + timedelta(days=batch), judged=True, beyond=("inputs",), new_labels=rows, new_batches=5)
        state = observe(state, far)
        decided = decide(state, far, rule)
        if decided.decision is Decision.RETRAIN:
            attempts.append(batch)
            early = 1000 - rows if decided.trigger is Trigger.DISTANCE else 0
            state, rows = attempted(state, far.now, promoted=True, alarm=False, early=early), 0
    assert [b - a for a, b in pairwise([-1, *attempts])] == [5, 15, 5, 15, 5, 15]


def test_after_a_rollback_every_attempt_waits_longer_and_after_three_a_human_is_asked():
    state, due = PolicyState(), Seen(now=T0, judged=True, new_labels=5000, new_batches=9)
    waited = []
    for _ in range(RULE.max_failures):
        state = rolled_back(attempted(state, T0, promoted=True, alarm=False))
        for batches in range(1, 20):
            state = observe(state, due)
            decided = decide(state, replace(due, now=T0 + timedelta(days=40)), RULE)
            if decided.decision is not Decision.WAIT_BACKOFF and decided.decision is not Decision.WAIT_COOLDOWN:
                waited.append((batches, decided.decision))
                break
    assert waited == [(3, Decision.RETRAIN), (6, Decision.RETRAIN), (1, Decision.ESCALATE)]
    state = helped(state)
    assert state.taken_back == 0


def test_a_candidate_that_waits_for_a_person_is_no_attempt_that_did_not_help():
    state = attempted(PolicyState(batches=9), T0, promoted=False, alarm=True)
    for _ in range(5):
        state = attempted(state, T0, promoted=None, alarm=True)
    assert (state.failures, state.last_promoted, len(state.attempts)) == (1, False, 6)


def test_no_attempt_while_a_candidate_is_in_shadow():
    seen = Seen(now=T0, judged=True, new_labels=5000, new_batches=9, shadow="version 2 is scored in shadow")
    assert decide(observe(PolicyState(), seen), seen, RULE).decision is Decision.WAIT_SHADOW


def test_earlier_failures_are_not_forgiven_before_it_is_known_whether_the_promotion_helped():
    state = attempted(PolicyState(batches=9), T0, promoted=True, alarm=True)
    watched, quiet = (Seen(now=T0, judged=True, on_watch=on) for on in (True, False))
    for _ in range(20):
        state = observe(state, watched)
    assert state.failures == 1
    assert observe(state, quiet).failures == 0
    assert helped(state).failures == 0


def test_failures_are_forgiven_when_the_alarm_has_been_quiet_for_a_while():
    got = play("cd" + "c" * 6 + "d", promotes=True)
    assert got[1] == "R"
    assert got[-1] == "R"


def test_an_alarm_without_on_change_waits_for_labels():
    rule = replace(RULE, on_change=False)
    assert play("cddddddddd", promotes=True, rule=rule) == ".wwwwwwwwR"


def test_the_weekly_budget_holds_whatever_is_due():
    rule = replace(RULE, new_labels=100, min_labels=100, min_batches=1, cooldown_batches=0, max_per_week=3)
    got = play("c" * 20, promotes=True, rule=rule, hours=24)
    assert got[:7] == "RRR$$$$"
    assert all(got[i : i + 7].count("R") <= 3 for i in range(len(got) - 6))


def test_switched_off_says_so_only_when_something_was_due():
    assert play("cccccccccc", promotes=True, rule=replace(RULE, enabled=False)) == ".........o"


@given(st.text(alphabet="cdwx", max_size=60), st.booleans())
def test_two_attempts_are_never_closer_than_the_cooldown(batches, promotes):
    attempts = [i for i, decision in enumerate(play(batches, promotes=promotes)) if decision == "R"]
    assert all(b - a >= RULE.cooldown_batches for a, b in pairwise(attempts))


@given(st.text(alphabet="cdwx", max_size=40), st.booleans())
def test_bad_data_never_retrains(batches, promotes):
    got = play(batches, promotes=promotes)
    assert all(got[i] == "?" for i, letter in enumerate(batches) if letter == "x")


@given(st.integers(0, 5), st.integers(0, 9), st.lists(st.integers(0, 10_000), max_size=5))
def test_the_state_survives_being_stored(failures, batches, hours):
    state = PolicyState(
        batches=batches, failures=failures, last_attempt=3, attempts=tuple(T0 + timedelta(hours=h) for h in hours)
    )
    assert PolicyState.from_dict(state.to_dict()) == state


def test_a_naive_clock_is_refused():
    with pytest.raises(ValueError, match="naive"):
        Seen(now=datetime(2026, 1, 1), judged=True)


def test_the_decision_names_its_trigger():
    seen = Seen(now=T0, judged=True, new_labels=5000, new_batches=9)
    assert decide(PolicyState(), seen, RULE).trigger is Trigger.NEW_LABELS
    seen = replace(seen, alarm=("labels",), new_labels=500)
    assert decide(PolicyState(), seen, RULE).trigger is Trigger.CHANGE


FAR = Seen(now=T0, judged=True, beyond=("inputs",), new_labels=500, new_batches=5)


def test_distance_brings_an_attempt_forward_at_half_of_the_labels():
    decided = decide(PolicyState(), FAR, RULE)
    assert (decided.decision, decided.trigger) == (Decision.RETRAIN, Trigger.DISTANCE)
    assert decided.reason == "inputs too far from the reference"
    assert decide(PolicyState(), replace(FAR, new_labels=499), RULE).decision is Decision.IDLE
    assert decide(PolicyState(), FAR, replace(RULE, on_distance=False)).decision is Decision.IDLE
    assert decide(PolicyState(), FAR, replace(RULE, enabled=False)).decision is Decision.OFF


def test_distance_brings_forward_one_attempt_until_a_promotion():
    kept = attempted(PolicyState(batches=10), T0, promoted=False, alarm=False)
    later = replace(kept, batches=20)
    assert decide(later, FAR, RULE).decision is Decision.IDLE
    assert decide(later, replace(FAR, new_labels=1000), RULE).trigger is Trigger.NEW_LABELS
    promoted = replace(attempted(later, T0, promoted=True, alarm=False), batches=30)
    assert decide(promoted, FAR, RULE).trigger is Trigger.DISTANCE
    assert decide(PolicyState.from_dict(later.to_dict()), FAR, RULE).decision is Decision.IDLE


def test_an_alarm_comes_before_distance_and_new_labels_before_both():
    far = replace(FAR, alarm=("performance",))
    assert decide(PolicyState(), far, RULE).trigger is Trigger.CHANGE
    assert decide(PolicyState(), replace(far, new_labels=1000), RULE).trigger is Trigger.NEW_LABELS


def test_distance_waits_like_every_other_reason():
    assert decide(PolicyState(), replace(FAR, new_batches=1), RULE).decision is Decision.WAIT_LABELS
    recent = PolicyState(batches=10, last_attempt=9)
    assert decide(recent, FAR, RULE).decision is Decision.WAIT_COOLDOWN
    used_up = PolicyState(batches=10, attempts=(T0,) * RULE.max_per_week)
    assert decide(used_up, FAR, RULE).decision is Decision.WAIT_BUDGET
    assert decide(PolicyState(), replace(FAR, judged=False), RULE).decision is Decision.WAIT_DATA
