"""The rows that are refused: the first complaint about each, and what goes to quarantine."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from monitor.adapters.file_reading import RawTable
from monitor.adapters.validation.typed import Finding, Mask
from monitor.domain.private import WITHHELD

REJECTED = pa.schema(
    [
        ("row", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("content", pa.string()),
    ]
)


class Rejections:
    """Collects findings in order of precedence: a row is refused once, for the first."""

    def __init__(self, rows: int) -> None:
        self._first = np.full(rows, -1, dtype=np.int32)
        self._findings: list[tuple[str, Finding]] = []

    def add(self, column: str, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._first[finding.bad & (self._first < 0)] = len(self._findings)
            self._findings.append((column, finding))

    @property
    def good(self) -> Mask:
        good: Mask = self._first < 0
        return good

    def table(self, raw: RawTable, *, private: bool) -> pa.Table:
        """One row per refused input row, in the order of the file.

        With `private` columns no detail quotes a cell, whatever its column: where fields are out of place, a private
        value is under another name.
        """
        positions = np.flatnonzero(~self.good)
        rows = [
            {
                "row": b.row,
                "column": b.column,
                "reason": b.reason.value,
                "detail": WITHHELD if private else b.detail,
                "content": b.content,
            }
            for b in raw.broken
        ]
        contents = raw.contents(positions.tolist()) if positions.size else []
        for position, content in zip(positions.tolist(), contents, strict=True):
            column, finding = self._findings[self._first[position]]
            rows.append(
                {
                    "row": int(raw.numbers[position]),
                    "column": column,
                    "reason": finding.reason.value,
                    "detail": WITHHELD if private else finding.detail(position),
                    "content": content,
                }
            )
        return pa.Table.from_pylist(sorted(rows, key=lambda row: int(str(row["row"]))), schema=REJECTED)
