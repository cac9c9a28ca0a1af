"""`strict`: who is promoted, how often by chance, and how often when it should be."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.domain.checks.proof import proven, proven_per_segment
from monitor.domain.gate import Finding
from tests.domain.test_gate import compared


def drawn(rng, *, gain: float, batches: int, rows: int = 100, shock: float = 0.02, segments=None):
    """Losses of a champion, and of a candidate that loses less by `gain` on average; batches differ by `shock`."""
    number = np.repeat(np.arange(batches), rows)
    champion = 1.0 + rng.gamma(1.0, 0.4, len(number))
    difference = rng.normal(0.0, 0.3, len(number)) + rng.normal(0.0, shock, batches)[number] + gain
    return compared(champion - difference, champion, batches=number, segments=segments)


def test_of_two_hundred_candidates_that_equal_the_champion_at_most_ten_percent_are_promoted():
    rng = np.random.default_rng(5)
    found = [proven(drawn(rng, gain=0.0, batches=20), 0.0, candidates=1).finding for _ in range(200)]
    assert found.count(Finding.PASSED) <= 20
    assert found.count(Finding.FAILED) <= 20


@pytest.mark.parametrize(("gain", "finding"), [(0.1, Finding.PASSED), (-0.1, Finding.FAILED)])
def test_what_is_clearly_better_or_worse_is_told_within_sixteen_batches(gain, finding):
    rng = np.random.default_rng(6)
    found = [proven(drawn(rng, gain=gain, batches=16), 0.0, candidates=1).finding for _ in range(50)]
    assert found.count(finding) >= 45


def test_seven_batches_prove_nothing():
    check = proven(drawn(np.random.default_rng(7), gain=5.0, batches=7), 0.0, candidates=1)
    assert check.finding is Finding.UNDECIDED
    assert "after 7 batches" in check.detail


def test_the_best_of_four_has_a_higher_bar():
    seen = drawn(np.random.default_rng(8), gain=5.0, batches=9)
    assert proven(seen, 0.0, candidates=1).finding is Finding.PASSED
    four = proven(seen, 0.0, candidates=4)
    assert (four.finding, four.limit) == (Finding.UNDECIDED, 80.0)


def test_the_margin_is_a_start():
    seen = drawn(np.random.default_rng(9), gain=0.0, batches=20)
    assert proven(seen, 0.2, candidates=1).finding is Finding.PASSED
    assert proven(seen, 0.0, candidates=1).finding is Finding.UNDECIDED


def test_small_batches_are_joined_and_without_rows_nothing_is_proven():
    seen = drawn(np.random.default_rng(10), gain=5.0, batches=24, rows=10)
    assert "after 8 batches" in proven(seen, 0.0, candidates=1).detail
    assert proven(seen.at(np.zeros(240, dtype=bool)), 0.0, candidates=1).finding is Finding.UNDECIDED


def test_a_segment_that_is_proven_worse_is_named_and_an_equal_one_is_not():
    rng = np.random.default_rng(11)
    level = np.tile(["north", "south"], 1000)
    seen = drawn(rng, gain=0.3, batches=20, segments={"side": level})
    worse = np.where(level == "south", seen.champion.losses + 0.3, seen.candidate.losses)
    seen = compared(worse, seen.champion.losses, batches=seen.batches, segments={"side": level})
    failed = [check.name for check in proven_per_segment(seen, 0.0) if check.finding is Finding.FAILED]
    assert failed == ["segment side=south"]
