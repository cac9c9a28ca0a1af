"""A column of any table as numpy: numbers, codes into levels, or a matrix.

A table is anything whose `table[name]` gives a column: a pandas or polars frame, an Arrow table, a dict of arrays.
This is the one file of the pure layers that knows of Arrow; pandas and polars are recognised by what they can do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitor.domain.schema import Kind
from monitor.errors import DataError

_MISSING = ("nan", "NaT", "<NA>")  # how missing cells of numpy and pandas read as text
_BYTE = 255.0  # images of bytes are scaled to 0..1
_BOOLEAN = {"1": "true", "0": "false", "true": "true", "false": "false"}


def names(table: Any) -> tuple[str, ...]:
    """Column names of a table, in its order."""
    for attribute in ("column_names", "columns"):  # Arrow; pandas and polars
        if (found := getattr(table, attribute, None)) is not None:
            return tuple(str(name) for name in found)
    return tuple(table)


def column(table: Any, name: str) -> Any:
    """The column as the table gives it. Raises DataError when there is none of this name."""
    try:
        return table[name]
    except (KeyError, IndexError) as exc:
        raise DataError("the column is missing", column=name) from exc
    except Exception as exc:  # polars raises an error of its own, which this layer does not import
        if type(exc).__name__ == "ColumnNotFoundError":
            raise DataError("the column is missing", column=name) from exc
        raise


def numbers(values: Any, name: str) -> npt.NDArray[np.float64]:
    """Shape (n,), NaN for missing; no copy of contiguous float64. Raises DataError for what is not a number."""
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
        array: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
        return _flat(array, name)
    arrow = to_arrow(values, name)
    if pa.types.is_dictionary(arrow.type):
        arrow = arrow.dictionary_decode()
    kind = arrow.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
            or pa.types.is_decimal(kind) or pa.types.is_null(kind)):  # fmt: skip
        raise DataError(f"expected numbers, found {kind}", column=name, row=_first_that_is_none(arrow))
    if pa.types.is_boolean(kind) or pa.types.is_float16(kind):
        arrow = arrow.cast(pa.uint8() if pa.types.is_boolean(kind) else pa.float32())
    converted: npt.NDArray[np.float64] = arrow.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return converted


def _first_that_is_none(arrow: Any) -> int | None:
    """1-based row of the first cell that reads as no number, of text alone."""
    if not (pa.types.is_string(arrow.type) or pa.types.is_large_string(arrow.type)):
        return None
    return next((row for row, cell in enumerate(arrow.to_pylist(), 1) if cell is not None and not _reads(cell)), None)


def _reads(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def codes(values: Any, name: str) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Codes (n,) into distinct levels as text, −1 for missing; levels without rows may be among them.

    1, "1" and 1.0 are one level; booleans are "true" and "false".
    """
    found, levels = _encoded(values, name)
    texts = [_text(level) for level in levels]
    distinct = {text: i for i, text in enumerate(dict.fromkeys(t for t in texts if t is not None))}
    if len(distinct) == len(texts):
        return found, tuple(distinct)
    place = np.array([-1 if text is None else distinct[text] for text in texts] + [-1], dtype=np.int32)
    return place[found], tuple(distinct)  # code −1 takes the last place, which is −1


def distinct(values: Any, name: str) -> tuple[str, ...]:
    """The distinct levels that rows hold, as text."""
    found, levels = codes(values, name)
    held = np.bincount(found + 1, minlength=len(levels) + 1)[1:]
    return tuple(level for level, count in zip(levels, held, strict=True) if count)


def boolean_codes(values: Any, name: str) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """As `codes`, with 1 and 0 read as true and false; anything else stays a level of its own."""
    found, levels = codes(values, name)
    texts = [_BOOLEAN.get(level.lower(), level) for level in levels]
    distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    place = np.array([distinct[text] for text in texts] + [-1], dtype=np.int32)
    return place[found], tuple(distinct)


def to_arrow(values: Any, name: str) -> Any:
    """One Arrow array, NaN in Python objects as null. Raises DataError for cells of mixed types."""
    if isinstance(values, pa.ChunkedArray):
        return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
    if isinstance(values, pa.Array):
        return values
    if hasattr(values, "to_arrow"):
        return to_arrow(values.to_arrow(), name)
    try:
        return to_arrow(pa.array(values, from_pandas=True), name)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
        raise DataError(f"cells of mixed or unknown types: {str(exc).splitlines()[0]}", column=name) from exc


def to_frame(data: Mapping[str, Sequence[Any]], numbers: Sequence[str]) -> Any:
    """A pandas frame of these columns; those named in `numbers` are float64 even without rows, None as NaN."""
    columns = {name: pa.array(held, type=pa.float64() if name in numbers else None) for name, held in data.items()}
    return pa.table(columns).to_pandas()


def take(table: Any, name: str, rows: npt.NDArray[np.intp]) -> Any:
    """The cells of a column at these positions, in this order; slices of the result are cheap."""
    values = column(table, name)
    return values[rows] if isinstance(values, np.ndarray) else to_arrow(values, name).take(pa.array(rows))


def moments(values: Any, name: str) -> npt.NDArray[np.datetime64]:
    """Timestamps as UTC, microseconds, shape (n,). Raises DataError for what is no timestamp."""
    arrow = to_arrow(values, name)
    if not pa.types.is_timestamp(arrow.type):
        raise DataError(f"expected timestamps, found {arrow.type}", column=name)
    stamps: npt.NDArray[np.datetime64] = arrow.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    return stamps


def kind_of(values: Any, name: str) -> Kind | None:
    """What a column looks like; None for dates and times, which are no feature. Raises DataError for the rest."""
    if getattr(values, "ndim", 1) > 1:
        return Kind.IMAGE if np.asarray(values).dtype == np.uint8 else Kind.VECTOR
    first = next((v for v in values if v is not None), None) if _holds_objects(values) else None
    if isinstance(first, np.ndarray):
        return Kind.IMAGE if first.dtype == np.uint8 or first.ndim > 1 else Kind.VECTOR
    categories = getattr(getattr(values, "dtype", None), "categories", None)
    if categories is not None:
        return Kind.CATEGORICAL
    kind = to_arrow(values, name).type
    if pa.types.is_temporal(kind):
        return None
    tests = (
        (Kind.BOOLEAN, pa.types.is_boolean(kind)),
        (Kind.CATEGORICAL, pa.types.is_dictionary(kind) or _is_text(kind)),
        (Kind.NUMERIC, pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)),
        (Kind.IMAGE, pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)),
        (Kind.IMAGE, _is_list(kind) and pa.types.is_uint8(kind.value_type)),
        (Kind.VECTOR, _is_list(kind)),
        (Kind.NUMERIC, pa.types.is_null(kind)),
    )
    for result, holds in tests:
        if holds:
            return result
    raise DataError(f"type {kind} cannot be a feature", column=name)


def matrix(values: Any, name: str, kind: Kind) -> npt.NDArray[np.float32]:
    """Shape (n, d), a row of NaN for a missing cell; images of whole numbers 0..255 become 0..1.

    Cells may be lists, arrays of any shape (flattened), or bytes. Raises DataError naming the first row whose length
    differs from the one before.
    """
    if getattr(values, "ndim", 1) > 1:
        whole = np.asarray(values)
        return _scaled(whole.reshape(whole.shape[0], math.prod(whole.shape[1:])), kind)
    if not _holds_objects(values):
        arrow = to_arrow(values, name)
        if pa.types.is_fixed_size_list(arrow.type) and arrow.null_count == 0:
            return _scaled(
                arrow.flatten().to_numpy(zero_copy_only=False).reshape(len(arrow), arrow.type.list_size), kind
            )
        values = arrow.to_numpy(zero_copy_only=False)
    cells = [None if cell is None else _cell(cell, name, row) for row, cell in enumerate(values)]
    width = next((cell.size for cell in cells if cell is not None), 0)
    for row, cell in enumerate(cells):
        if cell is not None and cell.size != width:
            raise DataError(f"{cell.size} cells, the rows before have {width}", column=name, row=row + 1)
    missing = np.full(width, np.nan, dtype=np.float32)
    held = [missing if cell is None else _scaled(cell, kind) for cell in cells]
    return np.stack(held) if held else np.zeros((0, width), dtype=np.float32)


def _cell(cell: Any, name: str, row: int) -> npt.NDArray[Any]:
    if isinstance(cell, bytes | bytearray | memoryview):
        return np.frombuffer(cell, dtype=np.uint8)
    array = np.asarray(cell)
    if array.dtype.kind not in "fiub":
        raise DataError(f"expected numbers in the cell, found {array.dtype}", column=name, row=row + 1)
    return array.reshape(-1)


def _scaled(array: npt.NDArray[Any], kind: Kind) -> npt.NDArray[np.float32]:
    whole = array.dtype.kind in "iu"
    single = array.astype(np.float32, copy=False)
    return single / np.float32(_BYTE) if whole and kind is Kind.IMAGE else single


def _encoded(values: Any, name: str) -> tuple[npt.NDArray[np.int32], Sequence[Any]]:
    """Codes and the levels as they are, before they are made text."""
    if _holds_objects(values) and hasattr(values, "factorize"):  # pandas hashes its own strings in half the time
        found, uniques = values.factorize()
        if all(isinstance(level, str) for level in uniques):
            return found.astype(np.int32), list(uniques)
    categorical = getattr(values, "array", values)  # a pandas Series keeps its categories one level down
    if hasattr(categorical, "codes") and hasattr(categorical, "categories"):
        return np.asarray(categorical.codes, dtype=np.int32), list(categorical.categories)
    try:
        arrow = to_arrow(values, name)
    except DataError:
        if not _holds_objects(values):
            raise
        arrow = pa.array([_text(value) for value in values], type=pa.string())  # cells of mixed types: slow, rare
    if not pa.types.is_dictionary(arrow.type):
        arrow = arrow.dictionary_encode()
    found = arrow.indices.cast(pa.int32())
    if found.null_count:
        found = pc.fill_null(found, pa.scalar(-1, pa.int32()))
    return found.to_numpy(zero_copy_only=False), arrow.dictionary.to_pylist()


def _text(value: Any) -> str | None:
    """A level as text; None for missing."""
    if isinstance(value, str):
        return value
    if value is None or str(value) in _MISSING:
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


def _flat(array: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    if array.ndim != 1:
        raise DataError(f"expected one number per row, found shape {array.shape}", column=name)
    return array


def _holds_objects(values: Any) -> bool:
    dtype = getattr(values, "dtype", None)
    return isinstance(values, list) or (isinstance(dtype, np.dtype) and dtype.kind == "O")


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
