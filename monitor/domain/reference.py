"""The frozen summary of the rows that a model was trained and held out on. No raw rows are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from monitor.domain import columns as cols
from monitor.domain.measure_catalogue import DEFAULT, check_names
from monitor.domain.measures import Measures, measure_column
from monitor.domain.packed import Arrays, pack, unpack
from monitor.domain.private import veil
from monitor.domain.profile import Profile
from monitor.domain.schema import Kind, Schema
from monitor.errors import ArtefactError, DataError
from monitor.stats.categorical import CategoricalProfile, CategoricalReference
from monitor.stats.ecdf import Ecdf
from monitor.stats.moments import Moments
from monitor.stats.numeric import NumericProfile, NumericReference
from monitor.stats.pca import Matrix, Pca

_FORM, _VERSION = "reference", 1
_MIN_TO_SPLIT = 20  # rows; with fewer, components and their reference come from the same rows

Numbers = npt.NDArray[np.float64]
_Array = TypeVar("_Array", bound=npt.NDArray[Any])
ColumnReference = NumericReference | CategoricalReference
ColumnProfile = NumericProfile | CategoricalProfile


class FilePath(Protocol):
    def __fspath__(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One summary per feature; see `domain.columns` for what may be a table (`frame`).

    An image or vector feature `x` becomes the numeric columns `x[pc1]` …, `x[residual]` and `x[mean]`: its principal
    components, which are kept in `reductions`, what they leave, and the mean of the cells.
    """

    schema: Schema
    rows: int
    columns: Mapping[str, ColumnReference]
    reductions: Mapping[str, Pca] = field(default_factory=dict)
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        text = json.dumps(_header(self), sort_keys=True)
        object.__setattr__(self, "fingerprint", hashlib.blake2b(text.encode(), digest_size=8).hexdigest())

    @classmethod
    def fit(cls, frame: Any, schema: Schema) -> Reference:
        """Summarise the features of `frame`; other columns are not looked at. A table without rows is allowed.

        Principal components are fitted on every second row and their distribution taken on the others: the rows they
        were fitted on are reconstructed too well, and every later batch would seem to drift. Raises DataError naming
        the column that is missing, of another length, or cannot be read as its kind.
        """
        lengths = _Lengths()
        columns: dict[str, ColumnReference] = {}
        reductions: dict[str, Pca] = {}
        for name, kind in schema.features.items():
            if kind.is_array:
                cells = lengths.checked(name, _cells(frame, name, kind))
                split = cells.shape[0] >= _MIN_TO_SPLIT
                reductions[name] = Pca.of(cells[::2] if split else cells)
                for part, values in reductions[name].reduce(cells[1::2] if split else cells).items():
                    columns[f"{name}[{part}]"] = NumericReference.of(values)
            elif kind is Kind.NUMERIC:
                columns[name] = NumericReference.of(lengths.checked(name, _numbers(frame, name)))
            else:
                codes, levels = _codes(frame, name, schema)
                columns[name] = CategoricalReference.of(lengths.checked(name, codes), levels)
        return cls(schema=schema, rows=lengths.rows or 0, columns=columns, reductions=reductions)

    def profile(self, frame: Any) -> Profile:
        """Summarise the features of `frame` in one pass. Raises DataError as `fit` does."""
        lengths = _Lengths()
        columns: dict[str, ColumnProfile] = {}
        for name, kind in self.schema.features.items():
            if kind.is_array:
                cells = lengths.checked(name, _cells(frame, name, kind))
                for part, values in self._reduced(name, cells):
                    columns[part] = NumericProfile.of(values, self._numeric(part))
            elif kind is Kind.NUMERIC:
                values = lengths.checked(name, _numbers(frame, name))
                columns[name] = NumericProfile.of(values, self._numeric(name))
            else:
                codes, levels = _codes(frame, name, self.schema)
                columns[name] = CategoricalProfile.of(lengths.checked(name, codes), levels, self._categorical(name))
        return Profile(reference=self.fingerprint, rows=lengths.rows or 0, columns=columns)

    def empty_profile(self) -> Profile:
        """The zero of profile addition."""
        columns: dict[str, ColumnProfile] = {
            name: NumericProfile.empty(ref) if isinstance(ref, NumericReference) else CategoricalProfile.empty(ref)
            for name, ref in self.columns.items()
        }
        return Profile(reference=self.fingerprint, rows=0, columns=columns)

    def compare(self, profile: Profile, measures: Sequence[str] | None = None) -> Measures:
        """Measure every column. `measures` names those wanted, each taken of the columns of its kind; None: `DEFAULT`.

        Raises DataError for a profile of another reference, ConfigError for a measure that does not exist.
        """
        if profile.reference != self.fingerprint:
            raise DataError("the profile was taken against another reference")
        wanted = DEFAULT if measures is None else tuple(measures)
        check_names(wanted)
        found = (measure_column(name, ref, profile.columns[name], wanted) for name, ref in self.columns.items())
        return Measures(tuple(measure for column in found for measure in column))

    def to_bytes(self) -> bytes:
        """A versioned form without raw rows; `from_bytes` is the inverse."""
        arrays: Arrays = {}
        for i, ref in enumerate(self.columns.values()):
            if isinstance(ref, NumericReference):
                arrays[f"{i}.points"], arrays[f"{i}.upto"] = ref.ecdf.points, ref.ecdf.upto
                arrays[f"{i}.below"] = ref.ecdf.below
        for i, pca in enumerate(self.reductions.values()):
            arrays[f"center.{i}"], arrays[f"components.{i}"] = pca.center, pca.components
        return pack(_FORM, _VERSION, _header(self), arrays)

    @classmethod
    def from_bytes(cls, body: bytes, file: str | None = None) -> Reference:
        """Raises ArtefactError, naming `file`, for what is not a reference of this release, or damaged."""
        header, arrays = unpack(_FORM, _VERSION, body, file)
        columns = {plain["name"]: _restored(plain, arrays, i) for i, plain in enumerate(header["columns"])}
        reductions = {
            name: Pca(arrays[f"center.{i}"], arrays[f"components.{i}"]) for i, name in enumerate(header["reductions"])
        }
        schema = Schema.from_dict(header["schema"])
        return cls(schema=schema, rows=header["rows"], columns=columns, reductions=reductions)

    def save(self, path: str | FilePath) -> None:
        """Write one file, replacing what is there.

        Not atomic, as this layer only knows open files: what a crash leaves is refused by `load`, which holds the
        content to its checksum. Who must keep the old file until the new one is whole writes `to_bytes` elsewhere and
        renames, as the daemon does.
        """
        with open(path, "wb") as file:
            file.write(self.to_bytes())

    @classmethod
    def load(cls, path: str | FilePath) -> Reference:
        """Raises ArtefactError naming the file when it is missing, damaged or something else."""
        try:
            with open(path, "rb") as file:
                body = file.read()
        except OSError as exc:
            raise ArtefactError(f"{path}: {exc.strerror}") from exc
        return cls.from_bytes(body, file=str(path))

    def _numeric(self, name: str) -> NumericReference:
        ref = self.columns[name]
        assert isinstance(ref, NumericReference)  # `fit` made it from the same schema
        return ref

    def _categorical(self, name: str) -> CategoricalReference:
        ref = self.columns[name]
        assert isinstance(ref, CategoricalReference)
        return ref

    def _reduced(self, name: str, cells: Matrix) -> Iterator[tuple[str, Numbers]]:
        pca = self.reductions[name]
        if cells.shape[0] == 0 or np.isnan(cells).all():  # the width of cells that are not there is unknown
            cells = np.full((cells.shape[0], pca.center.size), np.nan, dtype=np.float32)
        if cells.shape[1] != pca.center.size:
            raise DataError(f"{cells.shape[1]} cells per row, the reference has {pca.center.size}", column=name)
        return ((f"{name}[{part}]", values) for part, values in pca.reduce(cells).items())


class _Lengths:
    """Holds every column to the length of the first one."""

    def __init__(self) -> None:
        self.rows: int | None = None

    def checked(self, name: str, values: _Array) -> _Array:
        if self.rows is not None and values.shape[0] != self.rows:
            raise DataError(f"{values.shape[0]} rows, the columns before have {self.rows}", column=name)
        self.rows = values.shape[0]
        return values


def _cells(frame: Any, name: str, kind: Kind) -> Matrix:
    return cols.matrix(cols.column(frame, name), name, kind)


def _numbers(frame: Any, name: str) -> Numbers:
    return cols.numbers(cols.column(frame, name), name)


def _codes(frame: Any, name: str, schema: Schema) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    read = cols.boolean_codes if schema.features[name] is Kind.BOOLEAN else cols.codes
    codes, levels = read(cols.column(frame, name), name)
    return codes, veil(levels, name) if name in schema.private else levels


def _header(reference: Reference) -> dict[str, Any]:
    """All but the long arrays; enough to tell one reference from another."""
    return {
        "schema": reference.schema.to_dict(),
        "rows": reference.rows,
        "columns": [_plain(name, ref) for name, ref in reference.columns.items()],
        "reductions": list(reference.reductions),
    }


def _plain(name: str, ref: ColumnReference) -> dict[str, Any]:
    if isinstance(ref, CategoricalReference):
        return {"name": name, "levels": list(ref.levels), "counts": ref.counts.tolist(), "missing": ref.missing}
    return {
        "name": name,
        "n": ref.ecdf.n,
        "complete": ref.ecdf.complete,
        "missing": ref.missing,
        "negative_infinities": ref.negative_infinities,
        "positive_infinities": ref.positive_infinities,
        "finite": asdict(ref.finite),
    }


def _restored(plain: Mapping[str, Any], arrays: Arrays, i: int) -> ColumnReference:
    if "levels" in plain:
        counts = np.array(plain["counts"], dtype=np.int64)
        return CategoricalReference(tuple(plain["levels"]), counts, plain["missing"])
    points, below, upto = (arrays[f"{i}.{part}"] for part in ("points", "below", "upto"))
    return NumericReference(
        ecdf=Ecdf(points, below, upto, plain["n"], plain["complete"]),
        missing=plain["missing"],
        negative_infinities=plain["negative_infinities"],
        positive_infinities=plain["positive_infinities"],
        finite=Moments(**plain["finite"]),
    )
