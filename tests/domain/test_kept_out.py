from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.kept_out import held_out_rows


@pytest.mark.parametrize(
    ("batches", "held_out"),
    [(3, 2), (4, 2), (5, 2), (6, 3), (8, 4), (10, 4), (11, 5), (40, 5)],
)
def test_of_equal_batches_whole_ones_are_held_out(batches, held_out):
    assert held_out_rows([100] * batches) == 100 * held_out


def test_large_new_batches_do_not_leave_only_one():
    assert held_out_rows([100, 100, 100, 900]) == 1000


@pytest.mark.parametrize(("new", "held_out"), [([200], 100), ([100, 101], 100), ([1], 1), ([], 1)])
def test_with_one_or_two_new_batches_half_of_the_rows_are_left_to_learn_from(new, held_out):
    assert held_out_rows(new) == held_out


@given(st.lists(st.integers(1, 500), min_size=3, max_size=60))
def test_at_least_two_batches_at_most_five_and_something_new_is_left(new):
    held_out = held_out_rows(new)
    sums = [sum(new[-k:]) for k in range(2, 6)]
    assert held_out in sums
    assert held_out < sum(new)
