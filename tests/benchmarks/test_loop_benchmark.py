"""The protocol of the loop benchmark: what a rule may know, and when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.loop.rivals import Never, Recorded, simulate
from benchmarks.loop.streams import STREAMS, Stream, cut
from tests.support.project import TINY_MODEL

ROWS, BATCHES = 500, 20


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    """The relation turns round in the middle of the batches; every second of 1,000 recorded rows is taken."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=2 * ROWS)
    turned = np.arange(2 * ROWS) >= 2 * (100 + 200)
    label = np.where((x > 0) ^ turned, "UP", "DOWN")
    pq.write_table(pa.table({"x": x, "seq": np.arange(2 * ROWS), "y": label}), tmp_path / "turning.parquet")
    return Stream(
        name="turning", file="turning", label={"name": "y", "kind": "binary", "positive": "UP"}, leave_out=("seq",),
        metric="accuracy", rows=(ROWS - 100) // BATCHES, every=2, model=TINY_MODEL, never=0.5, accept=0.6, good=0.8,
        best=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("delay", [1, 5])
def test_a_rule_scores_before_it_learns_and_knows_labels_only_when_they_have_come(
    stream: Stream, tmp_path: Path, delay: int
):
    pieces = cut(stream, tmp_path, tmp_path, delay=delay)
    assert pieces.pieces.batches == BATCHES
    recorded = Recorded.read(pieces)
    assert recorded.edges == list(range(100, ROWS + 1, 20))
    seen: list[tuple[int, int, int]] = []

    class Always:
        def due(self, batch: int, *, fitted: int, known: list[np.ndarray]) -> bool:
            seen.append((batch, fitted, len(known)))
            return True

    always = simulate(pieces, recorded, "always", Always(), delay=delay)
    assert seen[delay:] == [(b, 100 + 20 * (b - delay), 1) for b in range(delay, BATCHES)]
    assert all(known == 0 for _, _, known in seen[:delay])
    never = simulate(pieces, recorded, "never", Never(), delay=delay)
    assert never.attempts == 0
    assert always.attempts == BATCHES - delay
    assert np.mean(never.metric[:10]) > 0.9
    assert np.mean(never.metric[10:]) < 0.1
    assert always.metric[10] < 0.1, "the batch in which the relation turns is scored by who does not know it"


def test_the_score_is_0_for_never_and_1_for_the_best_also_where_less_is_better():
    for stream in STREAMS.values():
        assert (stream.score(stream.never), stream.score(stream.best)) == (0.0, 1.0)
        assert stream.score(stream.never) < stream.score(stream.accept) < stream.score(stream.good) < 1
        assert stream.better(stream.best, stream.never)
