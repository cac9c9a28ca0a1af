"""The detector of one model version: what its stored states keep, and when it starts over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.domain.batch import Window
from monitor.domain.model_reference import ModelReference
from monitor.domain.schema import Schema
from monitor.domain.verdict import Channel, Verdict
from monitor.domain.watch.channel_watch import ChannelWatch
from monitor.domain.watch.loss_streams import loss_rule
from monitor.domain.watch.model_watch import ModelWatch
from monitor.domain.watch.plan import Plan
from monitor.domain.watch.rule import FalseAlarmRate, WatchRule
from monitor.domain.watch.season import Season
from monitor.errors import ArtefactError
from monitor.stats.losses import absolute_error, log_loss
from monitor.stats.moments import Moments

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WARM, ROWS = 60, 120  # days, and rows a day
SCHEMA = Schema(features={"a": "numeric", "hour": "numeric"})
RATE = FalseAlarmRate.parse("1 per 100 batches")
RULE = WatchRule(false_alarms=RATE, incidents=RATE, season=Season.WEEKDAY)


def window(day):
    return Window(START + day * DAY, START + (day + 1) * DAY)


def rows_of(rng, day, *, shift=0.0, wrong=0.0):
    """One day: features, probabilities of two classes, labels of which the share `wrong` is the other one."""
    at = np.sort(rng.random(ROWS)) * 24
    a = rng.normal(shift + 0.3 * ((START + day * DAY).weekday() >= 5), 1.0, ROWS)
    p = 1 / (1 + np.exp(-2 * a))
    label = (rng.random(ROWS) < p).astype(int)
    label = np.where(rng.random(ROWS) < wrong, 1 - label, label)
    times = np.datetime64((START + day * DAY).replace(tzinfo=None), "us") + (at * 3.6e9).astype("timedelta64[us]")
    return {"a": a, "hour": np.floor(at)}, np.column_stack([1 - p, p]), label, times


def fitted(*, classes=("DOWN", "UP"), seed=0):
    rng = np.random.default_rng(seed)
    days = [rows_of(rng, day) for day in range(WARM)]
    frame = {name: np.concatenate([d[0][name] for d in days]) for name in SCHEMA.features}
    scores, labels, times = (np.concatenate([d[i] for d in days]) for i in (1, 2, 3))
    if not classes:
        scores, labels = scores[:, 1], labels.astype(float)
    return ModelReference.fit(
        frame,
        SCHEMA,
        held_out_scores=scores,
        held_out_target=labels,
        classes=classes,
        metric="accuracy" if classes else "mae",
        times=times,
    )


@pytest.fixture(scope="module")
def reference():
    return fitted()


def watch_of(reference, rule=RULE, **settings):
    return ModelWatch(reference, rule, min_loss_increase=0.1, zone=UTC, **settings)


def observed(watch, reference, day, rng, **how):
    """What every channel sees of one day."""
    frame, scores, labels, _ = rows_of(rng, day, **how)
    at = watch.moment(window(day))
    if not reference.classes:
        scores = scores[:, 1]
    losses = log_loss(scores, labels) if reference.classes else absolute_error(scores, labels.astype(float))
    predictions = reference.predictions.profile(reference.score_columns(scores))
    seen = {
        Channel.INPUTS: watch.streams.inputs(reference.inputs.profile(frame), at),
        Channel.PREDICTIONS: watch.streams.predictions(predictions, at),
        Channel.PERFORMANCE: watch.streams.performance(Moments.of(losses), at),
    }
    if reference.classes:
        seen[Channel.LABELS] = watch.streams.labels(reference.predicted_counts(scores), at)
    return seen


def lived(watch, reference, days, *, seed=1, **how):
    """States and last verdicts after some days, `how` being true of them all."""
    rng, states, verdicts = np.random.default_rng(seed), {}, {}
    for day in days:
        for channel, seen in observed(watch, reference, day, rng, **how).items():
            before = states.get(channel, b"")
            states[channel], verdicts[channel] = watch.update(channel, before, seen, window(day), DAY)
    return states, verdicts


def in_memory(watch, reference, channel):
    """A detector that is never stored, of the same settings."""
    streams = watch.streams.sets[channel]
    rule = loss_rule(RATE, min_increase=0.1, rule=RULE) if channel is Channel.PERFORMANCE else RULE
    one = ChannelWatch(channel, Plan.of(streams, replace(rule, interval=DAY)))
    one.warm_up(reference.warm_up[channel].batches(streams, window(WARM), ROWS, UTC))
    return one


def test_a_restart_changes_no_later_number(reference):
    """A new process at every batch, reading the reference and the states, against one that never stops."""
    once = watch_of(reference, watch_calendar=True)
    never_stopped = {channel: in_memory(once, reference, channel) for channel in Channel}
    rng, states, seen_drift = np.random.default_rng(2), {}, set()
    stored = reference.to_bytes()
    for day in range(WARM, WARM + 24):
        worse = {"shift": 0.8, "wrong": 0.4} if day >= WARM + 12 else {}
        again = watch_of(ModelReference.from_bytes(stored), watch_calendar=True)
        for channel, seen in observed(once, reference, day, rng, **worse).items():
            states[channel], verdict = again.update(channel, states.get(channel, b""), seen, window(day), DAY)
            assert verdict == never_stopped[channel].update(seen)
            assert states[channel] == never_stopped[channel].state()
            seen_drift |= {channel} if verdict.verdict is Verdict.DRIFT else set()
    assert seen_drift == set(Channel)


def test_other_settings_start_over_from_the_warm_up(reference):
    before = watch_of(reference)
    states, verdicts = lived(before, reference, range(WARM, WARM + 10), shift=0.8)
    assert verdicts[Channel.INPUTS].verdict is Verdict.DRIFT
    other = watch_of(reference, replace(RULE, season=Season.NONE))
    day = WARM + 10
    seen = observed(other, reference, day, np.random.default_rng(3))[Channel.INPUTS]
    went_on = other.update(Channel.INPUTS, states[Channel.INPUTS], seen, window(day), DAY)
    assert went_on == other.update(Channel.INPUTS, b"", seen, window(day), DAY)
    assert went_on[1].verdict is Verdict.OK
    assert other.acknowledged(Channel.INPUTS, states[Channel.INPUTS], DAY) == states[Channel.INPUTS]


def test_another_budget_goes_on_with_the_state(reference):
    states, _ = lived(watch_of(reference), reference, range(WARM, WARM + 10), shift=0.8)
    rate = FalseAlarmRate.parse("1 per 500 batches")
    other = watch_of(reference, replace(RULE, false_alarms=rate, incidents=rate))
    seen = observed(other, reference, WARM + 10, np.random.default_rng(3), shift=0.8)[Channel.INPUTS]
    _, verdict = other.update(Channel.INPUTS, states[Channel.INPUTS], seen, window(WARM + 10), DAY)
    assert (verdict.verdict, verdict.raised, verdict.threshold) == (Verdict.DRIFT, False, 500)


@pytest.mark.parametrize("channel", list(Channel))
def test_damaged_states_are_refused(reference, channel):
    watch = watch_of(reference)
    states, _ = lived(watch, reference, [WARM])
    seen = observed(watch, reference, WARM + 1, np.random.default_rng(4))[channel]
    flipped = bytearray(states[channel])
    flipped[len(flipped) // 2] ^= 1
    for damaged in (states[channel][:-1], b"no state", bytes(flipped)):
        with pytest.raises(ArtefactError):
            watch.update(channel, damaged, seen, window(WARM + 1), DAY)
        with pytest.raises(ArtefactError):
            watch.acknowledged(channel, damaged, DAY)


def test_calendar_columns_are_watched_only_when_asked_for(reference):
    assert reference.calendar == ("hour",)

    def watched(watch):
        return {s.column for s in watch.streams.sets[Channel.INPUTS].streams}

    assert watched(watch_of(reference)) == {"a"}
    assert watched(watch_of(reference, watch_calendar=True)) == {"a", "hour"}
    for settings in ({}, {"watch_calendar": True}):
        _, verdicts = lived(watch_of(reference, **settings), reference, range(WARM, WARM + 8), shift=0.8)
        assert [c.name for c in verdicts[Channel.INPUTS].columns] == ["a"]


def test_a_value_has_no_label_prior():
    reference = fitted(classes=())
    watch = watch_of(reference)
    assert set(watch.streams.sets) == {Channel.INPUTS, Channel.PREDICTIONS, Channel.PERFORMANCE}
    _, verdicts = lived(watch, reference, range(WARM, WARM + 5))
    assert {channel: v.verdict for channel, v in verdicts.items()} == dict.fromkeys(verdicts, Verdict.OK)
    assert Channel.LABELS not in verdicts


def test_a_model_that_never_predicts_a_class_says_nothing_of_the_classes():
    rng = np.random.default_rng(5)
    frame, scores, labels, times = rows_of(rng, 0)
    always = np.tile([0.4, 0.6], (ROWS, 1))
    reference = ModelReference.fit(
        frame, SCHEMA, held_out_scores=always, held_out_target=labels, classes=("DOWN", "UP"), metric="accuracy",
        times=times,
    )  # fmt: skip
    watch = watch_of(reference)
    seen = watch.streams.labels(reference.predicted_counts(scores), START)
    state, verdict = watch.update(Channel.LABELS, b"", seen, window(1), DAY)
    assert (state, verdict.verdict) == (b"", Verdict.INSUFFICIENT_DATA)
    assert verdict.reason == "the model's predictions do not tell the classes apart"
    assert watch.acknowledged(Channel.LABELS, b"", DAY) == b""


def test_a_first_batch_that_says_nothing_leaves_no_state(reference):
    watch = watch_of(reference)
    seen = watch.streams.performance(Moments(), START + WARM * DAY)
    state, verdict = watch.update(Channel.PERFORMANCE, b"", seen, window(WARM), DAY)
    assert (state, verdict.verdict) == (b"", Verdict.INSUFFICIENT_DATA)


def test_a_successor_knows_how_uncertain_losses_are_and_nothing_of_the_alarm(reference):
    old, new_reference = watch_of(reference), fitted(seed=6)
    new = watch_of(new_reference)
    states, verdicts = lived(old, reference, range(WARM, WARM + 15), wrong=0.4)
    assert verdicts[Channel.PERFORMANCE].verdict is Verdict.DRIFT
    first = new.successor(Channel.PERFORMANCE, states[Channel.PERFORMANCE], old, DAY)
    day = WARM + 15
    seen = observed(new, new_reference, day, np.random.default_rng(7))[Channel.PERFORMANCE]
    _, verdict = new.update(Channel.PERFORMANCE, first, seen, window(day), DAY)
    assert (verdict.verdict, verdict.raised, verdict.columns) == (Verdict.OK, False, ())
    plan = Plan.of(new.streams.sets[Channel.PERFORMANCE], loss_rule(RATE, min_increase=0.1, rule=RULE))
    old_plan = Plan.of(old.streams.sets[Channel.PERFORMANCE], loss_rule(RATE, min_increase=0.1, rule=RULE))
    kept = ChannelWatch.restore(Channel.PERFORMANCE, old_plan, states[Channel.PERFORMANCE]).succeeded(plan)
    assert first == kept.state()
    cold = ChannelWatch(Channel.PERFORMANCE, plan)
    assert cold.update(seen).verdict is Verdict.INSUFFICIENT_DATA  # without that scale it would have to learn first
    assert new.successor(Channel.PERFORMANCE, b"", old, DAY) == b""


def test_of_other_settings_a_successor_learns_nothing(reference):
    states, _ = lived(watch_of(reference), reference, [WARM])
    other = watch_of(reference, replace(RULE, distance_batches=9))
    assert other.successor(Channel.PERFORMANCE, states[Channel.PERFORMANCE], other, DAY) == b""


def test_acknowledging_closes_the_alarm_and_the_new_level_is_ordinary(reference):
    watch = watch_of(reference)
    states, verdicts = lived(watch, reference, range(WARM, WARM + 12), shift=0.8)
    assert verdicts[Channel.INPUTS].verdict is Verdict.DRIFT
    state = watch.acknowledged(Channel.INPUTS, states[Channel.INPUTS], DAY)
    assert watch.acknowledged(Channel.INPUTS, state, DAY) == state
    rng = np.random.default_rng(8)
    for day in range(WARM + 12, WARM + 24):
        seen = observed(watch, reference, day, rng, shift=0.8)[Channel.INPUTS]
        state, verdict = watch.update(Channel.INPUTS, state, seen, window(day), DAY)
        assert (verdict.verdict, verdict.raised) == (Verdict.OK, False)
    assert [c.name for c in verdict.beyond] == ["a"]
