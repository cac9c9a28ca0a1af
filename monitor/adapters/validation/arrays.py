"""Images and vectors: cells of one length, as float32."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from monitor.adapters.validation.typed import Finding, Mask, Typed, wrong_column
from monitor.domain.quarantine import RowReason

_BRIGHTEST = 255
_WHITE = 1.0


@dataclass(frozen=True, slots=True)
class _Cells:
    """The usable cells, one row each, and what is wrong with the others."""

    matrix: npt.NDArray[Any]  # (good rows, length), of uint8 or float64
    good: Mask
    whole: bool  # integers rather than fractions
    findings: tuple[Finding, ...]


def arrays(raw: pl.Series, file: str, *, image: bool, length: int | None = None) -> Typed:
    """As fixed_size_list<float32>; of `length`, else of the length that most cells have (ties: the first).

    Images are scaled to 0..1: whole numbers 0..255 are divided by 255, fractions must be in 0..1 already. Whether
    numbers are whole is a property of the column's type, in JSON Lines of all its values. Lists written as JSON text
    are read. Missing cells and elements, infinities, NaN and other lengths are found.
    """
    early: tuple[Finding, ...] = ()
    if raw.dtype == pl.String:
        raw, early = _from_text(raw)
    if raw.dtype == pl.Null:
        raw = raw.cast(pl.List(pl.Float64))
    if raw.dtype == pl.Binary and image:
        cells = _from_bytes(raw, length)
    elif isinstance(raw.dtype, pl.List | pl.Array) and _inner(raw.dtype).is_numeric():
        cells = _from_lists(raw.arr.to_list() if isinstance(raw.dtype, pl.Array) else raw, length)
    else:
        raise wrong_column(raw, "bytes or lists of numbers" if image else "lists of numbers", file)
    wrong = (*early, *cells.findings, *_element_findings(cells, image=image))
    kind = pa.list_(pa.float32(), cells.matrix.shape[1])
    if not cells.matrix.shape[1]:  # no usable cell, and no length to give it
        return Typed(pa.nulls(len(raw), kind), wrong)
    with np.errstate(over="ignore", invalid="ignore"):  # cells of refused rows may hold anything
        values = cells.matrix.astype(np.float32)
    if image and cells.whole:
        values /= _BRIGHTEST
    if not cells.good.all():
        usable, values = values, np.zeros((len(raw), values.shape[1]), dtype=np.float32)
        values[cells.good] = usable
    return Typed(pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind), wrong)


def _inner(dtype: pl.DataType) -> pl.DataType:
    inner = getattr(dtype, "inner", None)
    return inner if isinstance(inner, pl.DataType) else pl.Null()


def _from_bytes(raw: pl.Series, length: int | None) -> _Cells:
    good, standard, findings = _of_one_length(raw.bin.size(), length)
    flat = np.frombuffer(b"".join(raw.filter(pl.Series(good)).to_list()), dtype=np.uint8)
    return _Cells(flat.reshape(int(good.sum()), standard), good, True, findings)


def _from_lists(raw: pl.Series, length: int | None) -> _Cells:
    good, standard, findings = _of_one_length(raw.list.len(), length)
    kept = raw.filter(pl.Series(good))
    flat, shape = kept.explode() if len(kept) else pl.Series([], dtype=pl.Float64), (len(kept), standard)
    gaps = _rows_where(flat.is_null().to_numpy().reshape(shape), good)
    if gaps.any():
        findings = (*findings, Finding(RowReason.MISSING_ARRAY, gaps, lambda _: "an element is missing"))
    matrix = flat.cast(pl.Float64).to_numpy().reshape(shape)
    return _Cells(matrix, good, _inner(raw.dtype).is_integer(), findings)


def _of_one_length(lengths: pl.Series, expected: int | None) -> tuple[Mask, int, tuple[Finding, ...]]:
    known = lengths.drop_nulls().cast(pl.Int64)
    known = known.filter(known > 0)
    counts = known.value_counts().sort("count", descending=True) if len(known) else None
    if expected is None and counts is not None:
        most = counts.filter(pl.col("count") == counts["count"].max())[known.name]
        expected = int(known.filter(known.is_in(most.implode()))[0])
    standard = expected or 0
    gone = lengths.is_null().to_numpy()
    other = ~gone & (lengths.fill_null(0).to_numpy() != standard) | (lengths.fill_null(1) == 0).to_numpy()
    findings = []
    if gone.any():
        findings.append(Finding(RowReason.MISSING_ARRAY, gone, lambda _: "no value"))
    if other.any():
        detail = Finding(RowReason.WRONG_LENGTH, other, lambda at: f"{lengths[at]} elements, expected {standard}")
        findings.append(detail)
    return ~gone & ~other, standard, tuple(findings)


def _element_findings(cells: _Cells, *, image: bool) -> tuple[Finding, ...]:
    if cells.matrix.dtype == np.uint8:  # every byte is a valid pixel
        return ()
    findings = []
    infinite = _rows_where(~np.isfinite(cells.matrix), cells.good)
    if infinite.any():
        findings.append(Finding(RowReason.NOT_FINITE, infinite, lambda _: "an element is infinite or NaN"))
    if image:
        most = float(_BRIGHTEST) if cells.whole else _WHITE
        outside = _rows_where((cells.matrix < 0) | (cells.matrix > most), cells.good)
        if outside.any():
            kind = "whole numbers must be in 0..255" if cells.whole else "fractions must be in 0..1"
            findings.append(Finding(RowReason.OUT_OF_RANGE, outside, lambda _: f"an element is out of range: {kind}"))
    return tuple(findings)


def _rows_where(bad: npt.NDArray[np.bool_], good: Mask) -> Mask:
    """Rows of the whole column with a bad element; `bad` has one row per good cell."""
    rows = np.zeros(len(good), dtype=np.bool_)
    rows[good] = bad.any(axis=1)
    return rows


def _from_text(raw: pl.Series) -> tuple[pl.Series, tuple[Finding, ...]]:
    """Lists as JSON text, one by one: CSV has no other, and JSON Lines comes here when some cells are no lists."""
    cells = [_listed(text) for text in raw]
    bad = np.array([text is not None and cell is None for text, cell in zip(raw, cells, strict=True)], dtype=np.bool_)
    whole = all(isinstance(v, int) for cell in cells if cell is not None for v in cell if v is not None)
    lists = pl.Series(raw.name, cells, dtype=pl.List(pl.Int64 if whole else pl.Float64), strict=False)
    detail = Finding(RowReason.WRONG_TYPE, bad, lambda at: f"{raw[at][:80]!r} is not a list of numbers")
    return lists, (detail,) if bad.any() else ()


def _listed(text: str | None) -> list[float | None] | None:
    try:
        cell = json.loads(text) if text is not None else None
    except ValueError:
        return None
    if isinstance(cell, list) and all(v is None or type(v) in (int, float) for v in cell):
        return cell
    return None
