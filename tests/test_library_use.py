"""What a notebook does, as docs/how-to/notebook.md shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from monitor import Reference, Schema, Watch
from monitor.domain.verdict import Verdict

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)


def rows(rng, day, shift=0.0):
    return pd.DataFrame(
        {
            "price": rng.normal(0.3 * np.sin(2 * np.pi * day / 7) + shift, 1.0, 400),
            "stock": rng.normal(0.0, 1.0, 400),
            "day": rng.choice(["a", "b", "c"], 400),
        }
    )


def test_a_shift_is_noticed_named_and_acknowledged_and_a_restart_changes_nothing():
    rng = np.random.default_rng(3)
    past = [(START + k * DAY, rows(rng, k)) for k in range(60)]
    schema = Schema(features={"price": "numeric", "stock": "numeric", "day": "categorical"})
    reference = Reference.fit(pd.concat([frame for _, frame in past], ignore_index=True), schema)
    watch = Watch(reference, false_alarms="1 per 365 batches", season="weekday")
    watch.warm_up([(at, reference.profile(frame)) for at, frame in past])

    quiet = [watch.update(reference.profile(rows(rng, k)), at=START + k * DAY) for k in range(60, 80)]
    assert {v.verdict for v in quiet} == {Verdict.OK}

    for k in range(80, 95):
        profile = reference.profile(rows(rng, k, shift=0.5))
        restored = Watch.restore(reference, watch.state())
        verdict = watch.update(profile, at=START + k * DAY)
        assert restored.update(profile, at=START + k * DAY) == verdict
        if verdict.verdict is Verdict.DRIFT:
            break
    assert verdict.verdict is Verdict.DRIFT
    assert verdict.evidence >= verdict.threshold
    assert {column.name for column in verdict.columns} == {"price"}
    assert all(column.low <= column.shift <= column.high for column in verdict.columns)

    watch.acknowledge()
    assert watch.achieved[0] == 1
