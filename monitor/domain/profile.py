"""A mergeable summary of some rows against a reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from monitor.domain.packed import Arrays, pack, unpack
from monitor.errors import DataError
from monitor.stats.categorical import CategoricalProfile
from monitor.stats.moments import Moments
from monitor.stats.numeric import NumericProfile

_FORM, _VERSION = "profile", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`profile(a) + profile(b)` equals `profile(a ++ b)`: counts exactly, moments up to rounding.

    The zero is `Reference.empty_profile()`. `reference` is the fingerprint of the reference it was taken against.
    """

    reference: str
    rows: int
    columns: Mapping[str, NumericProfile | CategoricalProfile]

    def __add__(self, other: Profile) -> Profile:
        """Of the rows of both. Raises DataError when they were taken against different references."""
        if self.reference != other.reference:
            raise DataError("profiles of different references cannot be added")
        merged = {name: _merge(column, other.columns[name]) for name, column in self.columns.items()}
        return Profile(reference=self.reference, rows=self.rows + other.rows, columns=merged)

    def to_bytes(self) -> bytes:
        """A versioned form without raw rows; `from_bytes` is the inverse."""
        arrays: Arrays = {}
        columns = []
        for i, (name, column) in enumerate(self.columns.items()):
            if isinstance(column, NumericProfile):
                arrays[f"{i}.below"] = column.below
                if column.upto is not column.below:
                    arrays[f"{i}.upto"] = column.upto
            else:
                arrays[f"{i}.counts"] = column.counts
            columns.append({"name": name, **_scalars(column)})
        return pack(_FORM, _VERSION, {"reference": self.reference, "rows": self.rows, "columns": columns}, arrays)

    @classmethod
    def from_bytes(cls, body: bytes) -> Profile:
        """Raises ArtefactError for what is not a profile of this release, or damaged."""
        header, arrays = unpack(_FORM, _VERSION, body)
        columns: dict[str, NumericProfile | CategoricalProfile] = {}
        for i, plain in enumerate(header["columns"]):
            name = plain.pop("name")
            if "moments" in plain:
                below = arrays[f"{i}.below"]
                moments = Moments(**plain.pop("moments"))
                upto = arrays.get(f"{i}.upto", below)
                columns[name] = NumericProfile(below=below, upto=upto, moments=moments, **plain)
            else:
                columns[name] = CategoricalProfile(counts=arrays[f"{i}.counts"], **plain)
        return cls(reference=header["reference"], rows=header["rows"], columns=columns)


def _merge(
    one: NumericProfile | CategoricalProfile, other: NumericProfile | CategoricalProfile
) -> NumericProfile | CategoricalProfile:
    if isinstance(one, NumericProfile) and isinstance(other, NumericProfile):
        return one.merge(other)
    if isinstance(one, CategoricalProfile) and isinstance(other, CategoricalProfile):
        return one.merge(other)
    raise DataError("profiles of different references cannot be added")


def _scalars(column: NumericProfile | CategoricalProfile) -> dict[str, Any]:
    return {key: value for key, value in asdict(column).items() if key not in ("below", "upto", "counts")}
