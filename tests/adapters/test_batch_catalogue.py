"""The catalogue is the dict that it stands for, whatever is added, rewritten and removed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.batch_catalogue import BatchCatalogue, CollectedFile, Form
from monitor.errors import StoreError

KNOWN = ["a", "b/1", "day=3", "ä", "'; DROP TABLE files", ""]
FORMS = (Form("id", ("score:a", "score:b"), False), Form("id", ("score:value",), True))
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


@given(st.lists(st.tuples(st.sampled_from(["add", "rewrite", "remove", "anew"]), FILES), max_size=25))
def test_it_holds_what_a_dict_would(steps):
    there, numbers, used = dict[str, CollectedFile](), dict[int, str](), set[int]()
    known, seen = set[str](), 0  # to a reader that asks now and then what has changed
    with TemporaryDirectory() as folder:
        path = Path(folder) / "catalogue.db"
        catalogue = BatchCatalogue(path)
        for kind, file in steps:
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
            elif kind == "anew":
                catalogue = BatchCatalogue(path, first=catalogue.mark + 1)
                numbers = {catalogue.add(each): name for name, each in there.items()}
                assert not used & numbers.keys()
            used |= numbers.keys()
            ordered = sorted(there, key=lambda b: (there[b].end, there[b].start, b))
            assert catalogue.batches() == ordered
            assert catalogue.batches(2) == ordered[-2:]
            assert {name: catalogue.find(name) for name in there} == there
            assert {name for name in KNOWN if name in catalogue} == set(there)
            assert {number: catalogue.batch(number) for number in used} == {n: numbers.get(n) for n in used}
            fresh = catalogue.since(seen)
            known = set(there) if fresh is None else known | set(fresh)
            seen = catalogue.mark
            assert known == set(there)
    for name in set(KNOWN) - set(there):
        assert catalogue.find(name) is None
        with pytest.raises(LookupError, match="is not collected"):
            catalogue.remove(name)


def test_what_is_not_in_memory_is_found(tmp_path):
    catalogue = BatchCatalogue(tmp_path / "catalogue.db")
    files = [file_of(f"b{number}", number) for number in range(700)]
    for file in files:
        catalogue.add(file)
    assert [catalogue.file(file.batch) for file in files] == files
    assert len(catalogue._recent) < len(files)
    assert catalogue.batches(3) == ["b697", "b698", "b699"]


def test_a_second_process_makes_its_own(tmp_path):
    """As when the command line works on a deployment between two passes of the daemon."""
    first = BatchCatalogue(tmp_path / "catalogue.db")
    first.add(file_of("a"))
    second = BatchCatalogue(tmp_path / "catalogue.db")
    second.add(file_of("b"))
    first.add(file_of("c"))
    assert (first.batches(), second.batches()) == (["a", "c"], ["b"])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "index").write_bytes(b"")
    with pytest.raises(StoreError, match=r"index/catalogue\.db"):
        BatchCatalogue(tmp_path / "index" / "catalogue.db")
