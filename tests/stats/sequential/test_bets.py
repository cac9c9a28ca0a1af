from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.stats.sequential.bets import Duel

blocks = st.lists(
    hnp.arrays(np.float64, st.integers(0, 5), elements=st.floats(-1e3, 1e3, allow_subnormal=False)), max_size=20
)


def fought(sequence) -> Duel:
    duel = Duel()
    for block in sequence:
        duel = duel.after(np.asarray(block))
    return duel


@given(blocks)
def test_wealth_is_never_negative_and_its_record_never_falls(sequence):
    duel = Duel()
    for block in sequence:
        after = duel.after(block)
        assert min(after.wealth) > 0
        assert after.better >= max(duel.better, after.wealth[0])
        assert after.worse >= max(duel.worse, after.wealth[1])
        duel = after


@given(blocks)
def test_the_two_sides_are_mirror_images(sequence):
    forward, backward = fought(sequence), fought([-block for block in sequence])
    assert forward.wealth == pytest.approx(backward.wealth[::-1])
    assert (forward.better, forward.worse) == pytest.approx((backward.worse, backward.better))


@given(blocks, st.floats(0.01, 100.0))
def test_the_unit_of_the_losses_does_not_matter(sequence, unit):
    assert fought([block * unit for block in sequence]).wealth == pytest.approx(fought(sequence).wealth, rel=1e-6)


def test_eight_blocks_that_are_clearly_won_are_enough_and_seven_are_not():
    won = np.array([0.9, 1.0, 1.1] * 20)
    assert fought([won * (1 + 0.1 * k) for k in range(8)]).better == pytest.approx(1.5**8)
    assert 1.5**7 < 20 < 1.5**8


def test_equal_losses_prove_nothing():
    assert fought([np.zeros(50)] * 30) == Duel()


@pytest.mark.parametrize("shock", [0.0, 0.05], ids=["independent rows", "days with a common cause"])
def test_while_nothing_is_gained_a_wealth_of_five_is_reached_in_at_most_a_fifth_of_the_runs(shock):
    rng, reached = np.random.default_rng(11), 0
    for _ in range(300):
        gains = rng.standard_t(3, (30, 60)) * 0.3 + rng.normal(0.0, shock, (30, 1))
        reached += fought(gains).better >= 5
    assert reached <= 82  # for 20% of 300, holds with probability 0.999
