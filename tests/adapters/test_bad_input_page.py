"""The page of bad input and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

from monitor.adapters.file_pattern import FilePattern
from monitor.adapters.file_reading import SUFFIXES
from monitor.domain.quarantine import FileReason, RowReason


def sections(project: Path) -> dict[str, str]:
    page = (project / "docs/reference/bad-input.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return lines[1:]


def test_every_reason_is_listed_with_its_text(project):
    page = sections(project)
    for title, reasons in (("Reasons for refusing a row", RowReason), ("Reasons for refusing a file", FileReason)):
        assert rows(page[title]) == [[f"`{reason.value}`", reason.text] for reason in reasons]


def test_every_reason_is_the_outcome_of_some_input_and_no_other_is_named(project):
    table = rows(sections(project)["What comes in, and what becomes of it"])
    named = {name for row in table for name in re.findall(r"^`(\w+)`", row[2] if len(row) > 2 else "")}
    assert named == {*(r.value for r in RowReason), *(r.value for r in FileReason)}
    for _, outcome, *reason in table:
        found = re.findall(r"^`(\w+)`", "".join(reason))
        if outcome.startswith("row refused"):
            assert found[0] in [r.value for r in RowReason]
        if outcome.startswith("file refused"):
            assert found[0] in [r.value for r in FileReason]


def test_the_suffixes_and_the_hidden_names_are_the_ones_of_the_code(project):
    page = sections(project)
    assert all(f"`{suffix}`" in page["What comes in, and what becomes of it"] for suffix in SUFFIXES)
    line = next(p for p in page["What reads as what"].split("\n- ") if "Hidden and temporary" in p)
    prefixes, endings = line.split("that end")
    everything = FilePattern.parse("**", timezone=None, key="batches.path")
    assert all(not everything.matches(f"{start}a.csv") for start in re.findall(r"`(\S+)`", prefixes))
    assert all(not everything.matches(f"a.csv{end}") for end in re.findall(r"`(\S+)`", endings))
    assert everything.matches("a.csv")
