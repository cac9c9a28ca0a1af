from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.choice import CLEARLY, DISCOUNT, choose, is_right_again

losses = st.dictionaries(st.sampled_from("abcd"), st.floats(0.0, 10.0), min_size=1)


@given(losses)
def test_without_a_record_the_smallest_loss_wins(losses):
    name, record = choose(losses, {})
    assert losses[name] == min(losses.values())
    assert record == losses


@given(losses, losses)
def test_the_record_is_discounted_and_nobody_is_lost(now, before):
    _, record = choose(now, before)
    assert set(record) == set(now)
    for name in set(now) & set(before):
        assert record[name] == pytest.approx(DISCOUNT * before[name] + now[name])


def test_a_newcomer_is_neither_favoured_nor_punished():
    name, _ = choose({"old": 0.5, "new": 0.5}, {"old": 3.0})
    assert name == "old"
    assert choose({"old": 0.5, "new": 0.4}, {"old": 3.0})[0] == "new"


def test_no_candidates_is_an_error():
    with pytest.raises(ValueError, match="no candidates"):
        choose({}, {})


@given(st.floats(1e-3, 10.0))
def test_an_earlier_version_must_be_clearly_better(candidate):
    assert is_right_again(candidate / (1 + CLEARLY) * 0.999, candidate)
    assert not is_right_again(candidate / (1 + CLEARLY) * 1.001, candidate)


def test_two_perfect_ones_leave_the_candidate():
    assert not is_right_again(0.0, 0.0)
