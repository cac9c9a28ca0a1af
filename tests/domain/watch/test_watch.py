from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.domain.reference import Reference
from monitor.domain.schema import Schema
from monitor.domain.verdict import Verdict
from monitor.domain.watch.watch import Watch
from monitor.errors import ArtefactError, ConfigError, DataError

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 400
SCHEMA = Schema(features={"a": "numeric", "b": "numeric", "c": "numeric", "k": "categorical", "still": "numeric"})


def day(t):
    return START + timedelta(days=t)


class Stream:
    """Daily batches; `a` has a weekend, `b` wanders from day to day, `k` has three levels, `still` never moves."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.wander = 0.1 * self.rng.standard_normal(1000)

    def rows(self, t, **shift):
        draw = self.rng.standard_normal
        weekend = 0.5 * (day(t).weekday() >= 5)
        share = shift.get("k", 0.3)
        return {
            "a": draw(ROWS) + weekend + shift.get("a", 0.0),
            "b": draw(ROWS) + self.wander[t] + shift.get("b", 0.0),
            "c": draw(ROWS) * (1 + shift.get("spread", 0.0)),
            "k": self.rng.choice(["x", "y", "z"], ROWS, p=[share, 0.9 - share, 0.1]),
            "still": np.where(self.rng.random(ROWS) < shift.get("still", 0.0), 1.0, 0.0),
        }


def begun(seed=0, *, warm=60, **settings):
    """A reference of `warm` days, and a watch warmed up with them."""
    stream = Stream(seed)
    days = [stream.rows(t) for t in range(warm)]
    reference = Reference.fit({c: np.concatenate([d[c] for d in days]) for c in SCHEMA.features}, SCHEMA)
    watch = Watch(reference, **{"season": "weekday", **settings})
    watch.warm_up((day(t), reference.profile(rows)) for t, rows in enumerate(days))
    return stream, reference, watch


def test_a_quiet_stream_is_ok_and_a_shift_is_named_with_size_and_day():
    stream, reference, watch = begun()
    for t in range(60, 120):
        verdict = watch.update(reference.profile(stream.rows(t)), day(t))
        assert verdict.verdict is Verdict.OK
        assert verdict.columns == () and verdict.incidents == () and verdict.beyond == ()
        assert verdict.evidence < verdict.threshold == 365
    for t in range(120, 126):
        verdict = watch.update(reference.profile(stream.rows(t, a=0.4)), day(t))
        if verdict.verdict is Verdict.DRIFT:
            break
    assert verdict.raised and verdict.evidence >= 365
    (column,) = verdict.columns
    assert (column.name, column.measure, column.since) == ("a", "location", day(120))
    assert 0.03 < column.low < column.shift < column.high < 0.2
    assert column.low < 0.11 < column.high + 0.02  # Φ(0.4/√2) − ½
    assert watch.achieved == (1, t - 59)


@pytest.mark.parametrize(("shift", "measure"), [
    ({"spread": 0.3}, "spread"), ({"k": 0.5}, "level:x"), ({"b": 1.0}, "location"),
])  # fmt: skip
def test_every_kind_of_column_is_watched(shift, measure):
    stream, reference, watch = begun(1)
    named = {}
    for t in range(60, 75):
        verdict = watch.update(reference.profile(stream.rows(t, **shift)), day(t))
        named = {c.name: c.measure for c in verdict.columns}
        if named:
            break
    assert measure in named.values() or (measure == "level:x" and "k" in named)


def test_an_alarm_stays_until_it_is_acknowledged_and_then_stays_away():
    stream, reference, watch = begun(2)
    raised = 0
    for t in range(60, 100):
        verdict = watch.update(reference.profile(stream.rows(t, a=0.8)), day(t))
        raised += verdict.raised
    assert raised == 1 and verdict.verdict is Verdict.DRIFT
    watch.acknowledge()
    for t in range(100, 150):
        verdict = watch.update(reference.profile(stream.rows(t, a=0.8)), day(t))
        assert verdict.verdict is Verdict.OK
    assert [c.name for c in verdict.beyond] == ["a"]  # changed once, and still far away


def test_a_restart_changes_no_later_number():
    stream, reference, watch = begun(3)
    batches = [reference.profile(stream.rows(t, a=0.3 * (t > 70))) for t in range(60, 90)]
    for i, profile in enumerate(batches):
        restored = Watch.restore(reference, watch.state())
        verdict = watch.update(profile, day(60 + i))
        assert restored.update(profile, day(60 + i)) == verdict
        assert restored.state() == watch.state()
    assert verdict.verdict is Verdict.DRIFT


@pytest.mark.parametrize("mode", ["fast", "strict"])
def test_other_modes_restart_exactly_and_find_a_shift(mode):
    stream, reference, watch = begun(4, warm=150, mode=mode)
    for t in range(150, 170):
        watch = Watch.restore(reference, watch.state())
        verdict = watch.update(reference.profile(stream.rows(t, a=0.5)), day(t))
    assert [c.name for c in verdict.columns] == ["a"]


def test_state_of_another_reference_or_damaged_is_refused():
    _, reference, watch = begun(5)
    other = Reference.fit({c: ["1", "2"] if c == "k" else np.arange(2.0) for c in SCHEMA.features}, SCHEMA)
    with pytest.raises(ArtefactError, match="another reference"):
        Watch.restore(other, watch.state())
    with pytest.raises(ArtefactError):
        Watch.restore(reference, watch.state()[:-1])
    with pytest.raises(DataError, match="another reference"):
        watch.update(other.empty_profile(), day(60))


def test_missing_days_raise_nothing():
    stream, reference, watch = begun(6)
    rng = np.random.default_rng(6)
    for t in range(60, 200):
        rows = stream.rows(t)
        if rng.random() < 0.3:
            continue
        assert watch.update(reference.profile(rows), day(t)).verdict is Verdict.OK


def test_a_late_batch_is_judged_by_its_own_day():
    stream, reference, watch = begun(7)
    batches = {t: reference.profile(stream.rows(t)) for t in range(60, 130)}
    order = sorted(batches, key=lambda t: t + 15 * (t % 10 == 0))  # every tenth comes two weeks late
    for t in order:
        assert watch.update(batches[t], day(t)).verdict is Verdict.OK


def test_one_strange_day_is_an_incident_and_no_drift():
    stream, reference, watch = begun(8)
    for t in range(60, 130):
        verdict = watch.update(reference.profile(stream.rows(t, c=0, a=3.0 * (t == 100))), day(t))
        assert verdict.verdict is Verdict.OK
        if t == 100:
            assert "a" in [c.name for c in verdict.incidents]
        else:
            assert verdict.incidents == ()


def test_a_constant_that_begins_to_vary_is_found_in_two_batches_and_acknowledged_for_good():
    stream, reference, watch = begun(9)
    seen = []
    for t in range(60, 70):
        verdict = watch.update(reference.profile(stream.rows(t, still=0.05 * (t >= 63))), day(t))
        seen.append(verdict.verdict)
        if verdict.raised:
            assert [(c.name, c.measure, c.since) for c in verdict.columns] == [("still", "outside:constant", day(63))]
            assert verdict.columns[0].shift == pytest.approx(0.05, abs=0.04)
            watch.acknowledge()
    assert seen == [Verdict.OK] * 4 + [Verdict.DRIFT] + [Verdict.OK] * 5


def test_a_change_too_small_to_act_on_is_no_drift():
    stream, reference, watch = begun(10, min_effect=0.2)
    reasons = []
    for t in range(60, 110):
        verdict = watch.update(reference.profile(stream.rows(t, a=0.4)), day(t))
        assert verdict.verdict is Verdict.OK
        reasons.append(verdict.reason)
    assert len([r for r in reasons if r.startswith("changed by less than min_effect: a +0.")]) == 1


def test_an_empty_batch_is_not_ok_and_changes_nothing():
    _, reference, watch = begun(11)
    before = watch.state()
    assert watch.update(reference.empty_profile(), day(60)).verdict is Verdict.INSUFFICIENT_DATA
    assert watch.state() == before


def test_without_a_warm_up_it_learns_before_it_judges():
    stream, reference, _ = begun(12)
    watch = Watch(reference, season="weekday")
    verdicts = [watch.update(reference.profile(stream.rows(t)), day(t)).verdict for t in range(60)]
    learning = verdicts.index(Verdict.OK)
    assert 10 < learning < 25  # seven days and three lags, and four residuals
    assert Verdict.DRIFT not in verdicts


def test_a_rate_per_time_takes_the_interval_from_the_warm_up():
    stream, reference, watch = begun(13, false_alarms="1 per year")
    assert watch.update(reference.profile(stream.rows(60)), day(60)).threshold == pytest.approx(365.25)
    cold = Watch(reference, false_alarms="1 per year")
    with pytest.raises(ConfigError, match="interval"):
        cold.update(reference.profile(stream.rows(61)), day(61))


def test_a_season_needs_timestamps():
    stream, reference, watch = begun(14)
    with pytest.raises(ConfigError, match="timestamp"):
        watch.update(reference.profile(stream.rows(60)))
    with pytest.raises(ConfigError, match="every batch, or for none"):
        watch.warm_up([(day(0), reference.profile(stream.rows(0))), (None, reference.profile(stream.rows(1)))])


def test_random_parts_of_the_reference_warm_up_too_and_it_says_so():
    stream, reference, _ = begun(15)
    watch = Watch(reference)
    watch.warm_up((None, reference.profile(stream.rows(t - t % 7))) for t in range(30))
    assert "the dispersion between batches will be learnt" in watch.notes[0]
    verdicts = [watch.update(reference.profile(stream.rows(7 * t))) for t in range(1, 40)]
    assert {v.verdict for v in verdicts} == {Verdict.OK}
    verdicts = [watch.update(reference.profile(stream.rows(7 * t, c=0, spread=0.5))) for t in range(40, 50)]
    assert [c.name for c in verdicts[-1].columns] == ["c"]


def test_distance_is_a_state_that_comes_and_goes():
    stream, reference, watch = begun(16)
    beyond = []
    for t in range(60, 120):
        far = 0.8 * (70 <= t < 95)
        beyond.append("c2" if watch.update(reference.profile(stream.rows(t, a=far)), day(t)).beyond else "")
    first, last = beyond.index("c2"), len(beyond) - beyond[::-1].index("c2")
    assert 3 <= first - 10 + 1 <= 10
    assert 33 <= last <= 42
    assert all(beyond[first:35])


def test_a_step_that_lasts_is_one_alarm_and_the_step_back_another():
    """A column that is the same for every row of a day and for weeks on end, such as a season."""
    rng = np.random.default_rng(17)
    schema = Schema(features={"season": "categorical", "x": "numeric"})

    def rows(t):
        return {"season": np.repeat("ab"[t // 45 % 2], 200), "x": rng.standard_normal(200)}

    days = [rows(t) for t in range(120)]
    reference = Reference.fit({c: np.concatenate([d[c] for d in days]) for c in schema.features}, schema)
    watch = Watch(reference, season="weekday")
    watch.warm_up((day(t), reference.profile(d)) for t, d in enumerate(days))
    raised = []
    for t in range(120, 400):
        if watch.update(reference.profile(rows(t)), day(t)).raised:
            raised.append(t)
            watch.acknowledge()
    steps = range(135, 400, 45)
    assert len(raised) <= len(steps)
    assert all(any(0 <= t - step < 10 for step in steps) for t in raised)
