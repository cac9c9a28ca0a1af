"""Two models on the same rows: quiet when they are equal, quick when one fails, whatever the rows depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.stats.sequential.duel import evidence, onset, standardised

WINDOWS, ROWS = 10, 120
LIMIT = WINDOWS / 0.05


def losses(rng: np.random.Generator, *, better: float = 0.0, dependent: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Of two models that err on the same hard rows; the first is `better` by so much per row."""
    hard = rng.exponential(1.0, ROWS)
    own = rng.normal(0, 0.3, (2, ROWS))
    if dependent:  # neighbours share half of what is a model's own
        own = (own + np.roll(own, 1, axis=1)) / 2
    return np.abs(hard + own[0]) - better, np.abs(hard + own[1])


@pytest.mark.parametrize("dependent", [False, True])
def test_equal_models_are_told_apart_in_one_trial_of_twenty_at_most(dependent: bool):
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(400):
        z = [standardised(*losses(rng, dependent=dependent)) for _ in range(WINDOWS)]
        found += bool(evidence(np.array(z)).max() >= LIMIT)
    assert found <= 34  # of 400 at 5%: more has a chance of 0.1%


def test_a_model_that_fails_is_found_with_its_second_window_at_the_latest():
    rng = np.random.default_rng(6)
    for _ in range(50):
        good = [standardised(*losses(rng)) for _ in range(4)]
        failed = [standardised(*losses(rng, better=-1.0)) for _ in range(2)]
        assert evidence(np.array(good + failed))[5] >= LIMIT


def test_one_window_proves_nothing_however_clear():
    rng = np.random.default_rng(7)
    z = standardised(rng.random(1000) + 1e6, rng.random(1000))
    assert z == 3.0
    assert evidence(np.array([z]))[-1] < LIMIT


@given(st.integers(0, 2**32 - 1))
def test_swapping_the_models_turns_the_sign(seed: int):
    first, second = losses(np.random.default_rng(seed))
    assert standardised(first, second) == pytest.approx(-standardised(second, first))


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_too_few_rows_say_nothing(rows: int):
    assert math.isnan(standardised(np.ones(rows), np.zeros(rows)))
    assert evidence(np.array([math.nan, math.nan])).tolist() == [0.0, 0.0]


def test_models_that_answer_alike_are_no_evidence():
    same = np.random.default_rng(8).random(60)
    assert standardised(same, same) == 0.0
    assert evidence(np.zeros(WINDOWS)).max() < WINDOWS


def test_the_onset_is_where_the_failure_began():
    assert onset(np.array([0.1, -0.4, 0.2, 2.5, 3.0])) == 3
    assert onset(np.array([])) == 0
