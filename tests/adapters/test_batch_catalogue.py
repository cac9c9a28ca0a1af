"""The catalogue in columns is the dict that it stands for, whatever is added, rewritten and removed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.batch_catalogue import BatchCatalogue, CollectedFile, Form

FORMS = (Form("id", ("score:a", "score:b"), False), Form("id", ("score:value",), True))
KNOWN = ["a", "b/1", "day=3", "ä", "\udce4", ""]
FILES = st.builds(
    CollectedFile,
    batch=st.sampled_from(KNOWN),
    edition=st.integers(1, 3),
    start=st.integers(-3, 3),
    end=st.integers(4, 6),
    form=st.sampled_from(FORMS),
    digest=st.sampled_from(["00" * 16, "ab" * 16]),
)


def file_of(batch: str, start: int = 0) -> CollectedFile:
    return CollectedFile(batch=batch, edition=1, start=start, end=start + 1, form=FORMS[0], digest="0f" * 16)


@given(st.lists(st.tuples(st.sampled_from(["add", "rewrite", "remove", "compact"]), FILES), max_size=25))
def test_it_holds_what_a_dict_would(steps):
    catalogue, there, numbers, seen = BatchCatalogue(), dict[str, CollectedFile](), dict[int, str](), 0
    known = set[str]()  # to a reader that asks now and then what has changed
    for kind, file in steps:
        before, given_out = list(catalogue.ordered()), catalogue.ordered()
        if kind == "add":
            numbers = {k: name for k, name in numbers.items() if name != file.batch}
            numbers[catalogue.add(file)] = file.batch
            there[file.batch] = file
        elif kind == "rewrite" and file.batch in there:
            there[file.batch] = replace(there[file.batch], edition=file.edition, form=file.form)
            catalogue.rewrite(there[file.batch])
        elif kind == "remove" and file.batch in there:
            numbers = {k: name for k, name in numbers.items() if name != file.batch}
            catalogue.remove(file.batch)
            del there[file.batch]
        elif kind == "compact":
            catalogue = catalogue.compacted()
            numbers = {catalogue.number(name): name for name in there}
        assert list(given_out) == before
        assert list(catalogue.ordered()) == sorted(there, key=lambda b: (there[b].end, there[b].start, b))
        assert {name: catalogue.find(name) for name in there} == there
        assert {name for name in KNOWN if name in catalogue} == set(there)
        assert {number: catalogue.batch(number) for number in numbers} == numbers
        fresh = catalogue.since(seen)
        known = set(there) if fresh is None else known | set(fresh)
        seen = catalogue.mark
        assert known == set(there)
    for name in set(KNOWN) - set(there):
        assert catalogue.find(name) is None
        with pytest.raises(LookupError, match="is not collected"):
            catalogue.remove(name)


def test_the_order_is_a_sequence_as_it_was_when_asked_for():
    catalogue = BatchCatalogue()
    for number in (3, 1, 2):
        catalogue.add(file_of(f"b{number}", number))
    order = catalogue.ordered()
    catalogue.add(file_of("b4", 4))
    catalogue.remove("b1")
    assert (len(order), order[0], order[-1], order[-2:], list(reversed(order))) == (
        3,
        "b1",
        "b3",
        ["b2", "b3"],
        ["b3", "b2", "b1"],
    )
    with pytest.raises(IndexError):
        order[3]
    assert list(catalogue.ordered()) == ["b2", "b3", "b4"]


def test_it_is_made_anew_when_most_of_it_is_gone():
    catalogue = BatchCatalogue()
    for number in range(3000):
        catalogue.add(file_of(f"b{number}", number))
    for number in range(1990):
        assert not catalogue.is_mostly_gone
        catalogue.remove(f"b{number}")
    for number in range(1990, 2010):
        catalogue.remove(f"b{number}")
    assert catalogue.is_mostly_gone
    smaller = catalogue.compacted()
    assert not smaller.is_mostly_gone
    assert list(smaller.ordered()) == list(catalogue.ordered())
    assert smaller.since(catalogue.mark) is None
