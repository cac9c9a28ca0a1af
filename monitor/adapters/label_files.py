"""The files of a label book: `staged/DELIVERY.parquet` as they came, `joined/BATCH.parquet` as they count."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitor.adapters.label_merge import LABEL, Labels
from monitor.adapters.label_tallies import Tally
from monitor.adapters.parquet_files import parquet_files, read_facts, read_parquet, read_with_facts, write_parquet
from monitor.adapters.row_ids import as_ids
from monitor.adapters.safe_names import safe_name
from monitor.domain.batch import aware
from monitor.errors import DataError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME = pa.timestamp("us", "UTC")
NEVER = int(np.iinfo(np.int64).min)  # stands for a missing moment


def to_microseconds(at: datetime) -> int:
    return (aware(at) - _EPOCH) // _MICROSECOND


def from_microseconds(at: int) -> datetime:
    return _EPOCH + at * _MICROSECOND


class LabelCodes:
    """Text labels as numbers and back; numeric labels stay. One type per book."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self.type: pa.DataType | None = None  # None until the first label is seen

    def accept(self, kind: pa.DataType, *, file: str) -> None:
        """Settle the book's type; raises DataError when it is settled differently."""
        if self.type not in (None, kind):
            raise DataError(f"labels are {kind}, those that came before are {self.type}", file=file, column="label")
        self.type = kind

    def encode(self, labels: pa.Array) -> npt.NDArray[np.float64]:
        if self.type == pa.float64():
            values: npt.NDArray[np.float64] = labels.to_numpy(zero_copy_only=False)
            return values
        coded = labels.dictionary_encode()
        names = coded.dictionary.to_pylist()
        numbers = np.array([self._names.setdefault(name, len(self._names)) for name in names], np.float64)
        return numbers[coded.indices.to_numpy()] if names else np.empty(0)

    def decode(self, values: npt.NDArray[np.float64]) -> pa.Array:
        if self.type == pa.float64():
            return pa.array(values)
        return pa.array(list(self._names), pa.string()).take(pa.array(values.astype(np.int64)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A delivery's labels: `id` string, `label` string or float64, `available_at` timestamp[us, UTC], nullable."""

    delivery: str
    arrival: datetime
    table: pa.Table

    @property
    def digest(self) -> str:
        """Of the content, however it arrived."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.table.schema) as stream:
            stream.write_table(self.table.combine_chunks())
        return hashlib.blake2b(sink.getvalue(), digest_size=8).hexdigest()

    @property
    def ids(self) -> pa.Array:
        return as_ids(self.table["id"])

    @property
    def available(self) -> npt.NDArray[np.int64]:
        """µs since 1970, NEVER where it is not said."""
        micros = self.table["available_at"].cast(pa.int64())
        filled: npt.NDArray[np.int64] = pc.fill_null(micros, NEVER).to_numpy()
        return filled


def staged_from(delivery: str, labels: pa.Table, arrival: datetime) -> Staged:
    """Bring a delivery into its stored form. Raises DataError for missing or infinite labels and missing ids."""
    kind = pa.float64() if pa.types.is_floating(labels["label"].type) else pa.string()
    try:
        table = pa.table(
            {
                "id": labels["id"].cast(pa.string()),
                "label": labels["label"].cast(kind),
                "available_at": labels["available_at"].cast(_TIME),
            }
        )
    except pa.ArrowException as exc:
        raise DataError(str(exc), file=delivery) from exc
    usable = {"id": table["id"].is_valid(), "label": table["label"].is_valid()}
    if kind == pa.float64():
        usable["label"] = pc.fill_null(pc.is_finite(table["label"]), False)
    for column, valid in usable.items():
        if (at := pc.index(valid, False).as_py()) >= 0:
            raise DataError(f"{column} is missing or not finite", file=delivery, column=column, row=at + 1)
    return Staged(delivery=delivery, arrival=aware(arrival).astimezone(UTC), table=table)


class LabelFiles:
    """Reads and writes both kinds of files. Raises StoreError naming the file."""

    def __init__(self, folder: Path) -> None:
        self._staged = folder / "labels" / "staged"
        self._joined = folder / "labels" / "joined"

    def staged_path(self, delivery: str) -> Path:
        return self._staged / f"{safe_name(delivery)}.parquet"

    def joined_path(self, batch: str) -> Path:
        return self._joined / f"{safe_name(batch)}.parquet"

    def staged_digest(self, delivery: str) -> str | None:
        """Of the content staged under this name, None when there is none."""
        path = self.staged_path(delivery)
        return str(read_facts(path)["digest"]) if path.exists() else None

    def write_staged(self, staged: Staged) -> None:
        facts = {"delivery": staged.delivery, "arrival": staged.arrival.isoformat(), "digest": staged.digest}
        write_parquet(self.staged_path(staged.delivery), staged.table, facts)

    def read_staged(self, path: Path) -> Staged:
        table, facts = read_with_facts(path)
        return Staged(delivery=facts["delivery"], arrival=datetime.fromisoformat(facts["arrival"]), table=table)

    def staged_ids(self, delivery: str) -> pa.Array:
        return as_ids(read_parquet(self.staged_path(delivery), ["id"])["id"])

    def all_staged(self) -> Iterator[Staged]:
        """One at a time, in order of file names."""
        return (self.read_staged(path) for path in parquet_files(self._staged))

    def tallies(self) -> Mapping[str, Tally]:
        """By batch, of all joined files, those of discarded batches included."""
        facts = [read_facts(path) for path in parquet_files(self._joined)]
        return {fact.pop("batch"): Tally(**fact) for fact in facts}

    def write_joined(self, batch: str, table: pa.Table, tally: Tally) -> None:
        facts = {
            "batch": batch,
            "rows": tally.rows,
            "labelled": tally.labelled,
            "revision": tally.revision,
            "digest": tally.digest,
        }
        write_parquet(self.joined_path(batch), table, facts)

    def read_joined(self, batch: str) -> pa.Table:
        """`id, label, available_at, arrival, delivery`, in the order of the batch's rows."""
        return read_parquet(self.joined_path(batch))

    def joined_ids(self, batch: str) -> pa.Array:
        return as_ids(read_parquet(self.joined_path(batch), ["id"])["id"])


def to_table(labels: Labels, ids: pa.Array, codes: LabelCodes, delivery: Callable[[int], str]) -> pa.Table:
    """Joined labels as they are stored; `ids` are those of the whole batch."""
    numbers, place = np.unique(labels["delivery"], return_inverse=True)
    names = pa.array([delivery(number) for number in numbers.tolist()], pa.string())
    return pa.table(
        {
            "id": ids.take(pa.array(labels["row"])),
            "label": codes.decode(labels["value"]),
            "available_at": pa.array(labels["due"]).cast(_TIME),
            "arrival": pa.array(labels["arrival"]).cast(_TIME),
            "delivery": names.take(pa.array(place)),
        }
    )


def from_table(table: pa.Table, ids: pa.Array, codes: LabelCodes, number: Callable[[str], int]) -> Labels:
    """The inverse of `to_table`; labels of rows that the batch no longer has are left out."""
    rows = pc.index_in(as_ids(table["id"]), value_set=ids)
    present = rows.is_valid()
    table, rows = table.filter(present), rows.filter(present)
    labels = np.empty(table.num_rows, LABEL)
    labels["row"] = rows.to_numpy()
    labels["value"] = codes.encode(table["label"].combine_chunks())
    labels["due"] = table["available_at"].cast(pa.int64()).to_numpy()
    labels["arrival"] = table["arrival"].cast(pa.int64()).to_numpy()
    named = table["delivery"].combine_chunks().dictionary_encode()
    numbers = np.array([number(name) for name in named.dictionary.to_pylist()], np.int32)
    labels["delivery"] = numbers[named.indices.to_numpy()]
    labels["position"] = -1  # before any of the same delivery that is still to come
    return labels
