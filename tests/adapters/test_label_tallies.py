"""Tallies in columns: those of a dict, and their sums."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.label_tallies import Tallies, Tally

TALLIES = st.builds(
    Tally,
    rows=st.integers(0, 9),
    labelled=st.integers(0, 9),
    revision=st.integers(0, 2**31),
    digest=st.sampled_from(["00" * 16, "c3" * 16]),
)


@given(st.dictionaries(st.text(max_size=2), TALLIES), st.lists(st.tuples(st.text(max_size=2), TALLIES), max_size=20))
def test_they_hold_what_a_dict_would(first, later):
    tallies, plain = Tallies(first), dict(first)
    for batch, tally in later:
        tallies.put(batch, tally)
        plain[batch] = tally
    assert {batch: tallies.of(batch) for batch in plain} == plain
    assert {batch: tallies.labelled(batch) for batch in plain} == {batch: t.labelled for batch, t in plain.items()}
    assert tallies.labelled("none") == 0
    assert tallies.of("none") == Tally()
    assert tallies.labelled_rows == sum(tally.labelled for tally in plain.values())
    assert tallies.labelled_batches == sum(tally.labelled > 0 for tally in plain.values())
