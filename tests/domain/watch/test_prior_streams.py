from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.domain.verdict import Channel, Verdict
from monitor.domain.watch.channel_watch import ChannelWatch
from monitor.domain.watch.prior_streams import PriorStreams
from monitor.domain.watch.rule import FalseAlarmRate, WatchRule
from monitor.errors import DataError

START = datetime(2024, 1, 1, tzinfo=UTC)
RATE = FalseAlarmRate(count=1, batches=365)


def play(shares, batches, *, warm=40, seed=1):
    """Verdicts on batches of 500 labels drawn with these shares, after as many as `warm` with the first of them."""
    rng = np.random.default_rng(seed)
    classes = list(shares[0])
    streams = PriorStreams(shares[0], 2000)
    watch = ChannelWatch(Channel.LABELS, streams.set, WatchRule(false_alarms=RATE, incidents=RATE))

    def seen(t, prior):
        drawn = dict(zip(classes, rng.multinomial(500, [prior[c] for c in classes]).tolist(), strict=True))
        return streams.observe(drawn, START + timedelta(days=t))

    watch.warm_up(seen(t, shares[0]) for t in range(warm))
    return [watch.update(seen(warm + t, shares[t >= batches])) for t in range(batches + 10)]


@pytest.mark.parametrize("before", [{"no": 0.7, "yes": 0.3}, {"a": 0.5, "b": 0.3, "c": 0.2}])
def test_a_shift_of_the_prior_is_found_with_its_size(before):
    first, second, *_ = before
    after = {**before, first: before[first] - 0.1, second: before[second] + 0.1}
    verdicts = play([before, after], 100)
    assert {v.verdict for v in verdicts[:100]} == {Verdict.OK}
    assert verdicts[-1].verdict is Verdict.DRIFT
    (column,) = verdicts[-1].columns
    assert column.low < column.shift < column.high
    assert abs(column.shift) == pytest.approx(0.1, abs=0.04)
    assert column.since in (START + timedelta(days=140), START + timedelta(days=141))


def test_a_class_never_seen_is_guarded():
    streams = PriorStreams({"no": 0.7, "yes": 0.3}, 100)
    seen = streams.observe({"no": 6, "yes": 2, "maybe": 2}, None)
    shares = dict(zip([g.what for g in streams.set.guards], seen.outside, strict=True))
    assert shares == {"unseen": 0.2, "missing": 0.0}


def test_no_labels_say_nothing():
    assert np.isnan(PriorStreams({"no": 0.7, "yes": 0.3}, 100).observe({}, None).values).all()


def test_a_prior_of_nothing_is_refused():
    with pytest.raises(DataError, match="no reference"):
        PriorStreams({}, 0)
