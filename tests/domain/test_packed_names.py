"""Names and counts in little space say what a list and a dict would."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.packed_names import PackedCounts, PackedNames


def test_a_name_takes_little():
    names = PackedNames()
    for number in range(20_000):
        names.append(f"batch_{number:06d}")
    held = sum(sys.getsizeof(getattr(names, part)) for part in ("_text", "_ends", "_hashes", "_numbers"))
    assert held / 20_000 < 12 + 20 + 6
    assert [names.find(f"batch_{number:06d}") for number in (0, 777, 19_999)] == [0, 777, 19_999]


def test_a_name_is_found_under_its_latest_number():
    names = PackedNames()
    assert [names.append(name) for name in ("a", "b", "a")] == [0, 1, 2]
    assert (names.find("a"), names[0], names[2]) == (2, "a", "a")
    names.forget(2)
    assert (names.find("a"), names[2], len(names)) == (None, "a", 3)


@given(st.lists(st.tuples(st.text(max_size=2), st.integers(0, 2**32 - 1) | st.none()), max_size=40))
def test_counts_are_those_of_a_dict(steps):
    counts, plain = PackedCounts({"first": 7}), {"first": 7}
    for name, count in steps:
        if count is not None:
            counts[name] = plain[name] = count
        elif name in plain:
            del counts[name], plain[name]
        else:
            with pytest.raises(KeyError):
                del counts[name]
        assert (dict(counts), len(counts), list(counts)) == (plain, len(plain), list(plain))
    assert counts.get("never") is None


def test_what_is_gone_takes_nothing_in_the_end():
    counts = PackedCounts()
    for number in range(30_000):
        counts[f"batch_{number:06d}"] = number
        if number >= 10:
            del counts[f"batch_{number - 10:06d}"]
    assert dict(counts) == {f"batch_{number:06d}": number for number in range(29_990, 30_000)}
    assert len(counts._names) < 1100
