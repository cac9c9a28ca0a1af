from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.gate import DISCOUNT, GateRule, Outcome, choose, judge

RULE = GateRule(kind="non_inferior", margin=0.02)
losses = st.dictionaries(st.sampled_from("abcd"), st.floats(0.0, 10.0), min_size=1)


@pytest.mark.parametrize(
    ("champion", "candidate", "rows", "outcome"),
    [
        (0.50, 0.40, 100, Outcome.PROMOTE),
        (0.50, 0.51, 100, Outcome.PROMOTE),  # within the margin: fresher rows at no loss
        (0.50, 0.5101, 100, Outcome.REJECT),
        (0.50, 0.40, 29, Outcome.KEEP),  # too few rows to tell
        (0.0, 0.0, 100, Outcome.PROMOTE),
        (0.0, 0.1, 100, Outcome.REJECT),
        (None, 9.9, 0, Outcome.PROMOTE),  # the first model
    ],
)
def test_non_inferiority(champion, candidate, rows, outcome):
    assert judge(RULE, champion=champion, candidate=candidate, rows=rows).outcome is outcome


def test_the_gate_can_be_switched_off():
    assert judge(GateRule(kind="off"), champion=0.1, candidate=9.0, rows=100).outcome is Outcome.PROMOTE


def test_a_nan_loss_is_never_promoted():
    assert judge(RULE, champion=0.5, candidate=float("nan"), rows=100).outcome is Outcome.REJECT


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
