"""What the use cases need from the world. Adapters implement these; `bootstrap` chooses them.

Tables are `pyarrow.Table`. All datetimes are aware and UTC. Errors are those of `monitor.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState, IsSettled, LedgerEntry, Window
from monitor.domain.gate import Check, GateRule
from monitor.domain.label_arrival import Unmatched
from monitor.domain.model import Scores
from monitor.domain.version import Alias, AliasMove, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """A delivery after validation.

    `rows`: the schema's columns only, in the order id, timestamp, features, scores, control, in these types: id
    `string`, timestamp `timestamp[us, UTC]`, numeric `float64` (null = missing; infinities are rejected), categorical
    `dictionary<int32, string>`, boolean `bool`, image and vector `fixed_size_list<float32>` (images 0..1), scores
    `float64` without nulls.
    `rejected`: one row per rejected input row: `row` (1-based; header and blank lines do not count), `column`, `reason`
    (a closed set, see `domain.quarantine`), `detail`, `content` (the whole input row as JSON text).
    """

    rows: pa.Table
    rejected: pa.Table
    notes: tuple[str, ...] = ()


class BatchSource(Protocol):
    def deliveries(self, is_settled: IsSettled | None = None) -> Sequence[Delivery]:
        """What lies there now and is not settled; hidden and temporary files are left out. Raises SourceError.

        Most of it is settled, and there is ever more of it: it is passed over before anything is made of it.
        """
        ...

    def is_complete(self, delivery: Delivery, *, now: datetime) -> bool:
        """False while it may still be written: changed within `settle`, or a Parquet footer still to come."""
        ...

    def fingerprint(self, delivery: Delivery) -> str:
        """Hash of the content. Raises SourceError when it cannot be read (gone, no permission)."""
        ...

    def window(self, delivery: Delivery) -> Window:
        """From the date parts of the path template, else from the timestamp column, else the modification time.

        Never raises for bad content: then the modification time stands in, and `read` will say what is wrong.
        """
        ...

    def read(self, delivery: Delivery, *, now: datetime) -> Validated:
        """Read and validate. Raises DataError (whole file unusable), SourceError (not reachable)."""
        ...


class LabelSource(Protocol):
    """Like `BatchSource`, for labels: `rows` has `id` string, `label` string or float64, `available_at` (nullable).

    An id comes more than once only with other labels at later `available_at`: corrections.
    """

    def deliveries(self, is_settled: IsSettled | None = None) -> Sequence[Delivery]: ...
    def is_complete(self, delivery: Delivery, *, now: datetime) -> bool: ...
    def fingerprint(self, delivery: Delivery) -> str: ...
    def read(self, delivery: Delivery, *, now: datetime) -> Validated: ...


class States(Protocol):
    """What is remembered, as bytes by deployment and key."""

    def state(self, deployment: str, key: str) -> bytes | None: ...


class Transaction(Protocol):
    """Writes that take effect together, or not at all."""

    @property
    def states(self) -> Mapping[tuple[str, str], bytes]:
        """Those put in it so far, by deployment and key."""
        ...

    @property
    def moved(self) -> bool:
        """Whether an alias was moved in it."""
        ...

    def guard(self, lease: str, *, owner: str) -> None:
        """Nothing of this takes effect, and BusyError is raised, when `owner` does not have the lease any more.

        Nobody can take the lease before the transaction ends.
        """
        ...

    def finish(
        self, entry_id: int, state: DeliveryState, *, reason: str = "", window: Window | None = None
    ) -> None: ...
    def put_record(self, deployment: str, batch: str, record: Mapping[str, Any]) -> None:
        """Insert, or replace the record of the same batch (its place in the history stays)."""
        ...

    def put_measures(self, deployment: str, batch: str, measures: Sequence[Mapping[str, Any]]) -> None: ...
    def put_state(self, deployment: str, key: str, body: bytes) -> None: ...
    def add_event(self, deployment: str, at: datetime, event: str, body: Mapping[str, Any]) -> None:
        """Append to the journal: decisions, attempts, promotions, rollbacks, what an operator did."""
        ...

    def add_version(self, manifest: Manifest) -> None: ...
    def move_alias(self, deployment: str, move: AliasMove) -> None: ...


class Store(Protocol):
    """The database. Every method is atomic and safe from any thread; raises StoreError when it does not answer."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Commits at the end of the block, rolls back when it raises."""
        ...

    # ledger
    def entries(self, deployment: str, kind: DeliveryKind, *, after: int = 0) -> Sequence[LedgerEntry]:
        """Those with an id above `after`, in the order in which they were first seen, which is that of their ids."""
        ...

    def latest_entries(
        self, deployment: str, kind: DeliveryKind, *, last: int, before: int | None = None
    ) -> Sequence[LedgerEntry]:
        """The last so many, of those with an id below `before`; in the same order."""
        ...

    def matching(
        self, deployment: str, kind: DeliveryKind, *, locator: str = "", fingerprint: str = "", name: str = ""
    ) -> Sequence[LedgerEntry]:
        """Those with any of these, in the same order; what is empty is not asked for."""
        ...

    def count_waiting(self, deployment: str, kind: DeliveryKind) -> int:
        """Deliveries that are known and not yet worked off."""
        ...

    def arrivals(self, deployment: str, kind: DeliveryKind, *, last: int) -> list[datetime]:
        """Modification times of the deliveries that were last seen, newest first; copies of earlier ones left out."""
        ...

    def see(self, deployment: str, kind: DeliveryKind, delivery: Delivery, fingerprint: str) -> LedgerEntry:
        """Enter a delivery, or return the entry it already has (same locator and content; size, mtime refreshed)."""
        ...

    def claim(self, entry_id: int, *, owner: str, until: datetime) -> bool:
        """`seen → claimed`, also when the earlier claim ran out or is one's own. False when somebody else has it."""
        ...

    # leases: who works on a deployment
    def acquire_lease(self, name: str, *, owner: str, now: datetime, until: datetime) -> str | None:
        """None when taken (free, run out, or one's own: then renewed), else the present owner."""
        ...

    def release_lease(self, name: str, *, owner: str) -> None: ...
    def lease_holder(self, name: str, *, now: datetime) -> str | None:
        """None when nobody holds it, or who did has died or not renewed it."""
        ...

    # history
    def records(self, deployment: str, *, last: int | None = None, before: str | None = None) -> list[dict[str, Any]]:
        """In the order of processing; the last so many when asked, of those before a batch. None are before an unknown
        one."""
        ...

    def record(self, deployment: str, batch: str) -> dict[str, Any] | None: ...
    def measures(self, deployment: str, batch: str) -> list[dict[str, Any]]: ...
    def events(
        self, deployment: str, *, event: str | None = None, last: int | None = None, before: int | None = None
    ) -> list[dict[str, Any]]:
        """Journal entries `{"number": …, "at": ISO, "event": …, **body}`, oldest first; those below number `before`."""
        ...

    def count_records(self, deployment: str) -> int: ...
    def state(self, deployment: str, key: str) -> bytes | None: ...

    # versions
    def manifests(self, deployment: str) -> list[Manifest]: ...
    def manifest(self, deployment: str, version: int) -> Manifest | None: ...
    def next_version(self, deployment: str) -> int: ...
    def alias(self, deployment: str, alias: Alias) -> int | None: ...
    def alias_history(self, deployment: str, alias: Alias) -> list[AliasMove]: ...
    def ping(self) -> None: ...
    def close(self) -> None:
        """Give back the connections; the next call opens new ones."""
        ...


class CollectedData(Protocol):
    """Scored rows of one deployment, as Parquet by day of the window's start; what retraining reads."""

    def duplicates(self, batch: str, ids: pa.Array) -> Mapping[int, str]:
        """Position in `ids` → the other collected batch that already holds this id; a `batch` of "" is no batch."""
        ...

    def write(
        self,
        batch: str,
        window: Window,
        rows: pa.Table,
        scores: Scores,
        classes: Sequence[str],
        *,
        beside: Mapping[str, Scores] | None = None,
    ) -> None:
        """Durable and atomic (temporary name, fsync, rename); writing the same batch again replaces it.

        `scores` are what is served; others go `beside` them, by the prefix of their columns (`score_columns`).
        """
        ...

    def discard(self, batch: str) -> None:
        """Forget a batch that was written but never recorded (a crash between the two)."""
        ...

    def batches(self, last: int | None = None) -> Sequence[str]:
        """In order of window end; of the `last` ones alone."""
        ...

    def __contains__(self, batch: object) -> bool: ...

    def changes(self, since: int) -> tuple[int, Sequence[str] | None]:
        """A mark, and the batches that were collected since an earlier mark, in that order; 0 marks the beginning.

        None: there was more than that, a batch was discarded, or written with other rows or another window. The same
        again is no change.
        """
        ...

    def window(self, batch: str) -> Window: ...
    def ids(self, batch: str) -> pa.Array:
        """Row ids, `string`, in the order of the rows. Like all that reads a batch: LookupError when not collected."""
        ...

    def digest(self, batch: str) -> str:
        """Hash over the row ids in order: the same after the same rows were written again."""
        ...

    def read(self, batch: str) -> pa.Table:
        """The validated rows plus `score` columns: `score:CLASS` per class, or `score:value`; then those beside."""
        ...

    def scores(self, batch: str) -> Scores:
        """Those that were served."""
        ...

    def quarantine(self, delivery: str, rejected: pa.Table) -> Path | None:
        """Keep rejected rows under `quarantine/`; None when there are none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCounts:
    """What became of the rows of a label delivery so far."""

    joined: int = 0
    duplicate: int = 0  # the same label again: no effect
    corrected: int = 0  # another label for an id that had one: the later one counts
    pending: int = 0  # id not collected yet, or not due yet


class LabelBook(Protocol):
    """Labels of one deployment: staged as they come, joined to collected batches when they are due."""

    def stage(self, delivery: str, labels: pa.Table, *, arrival: datetime) -> None:
        """Keep a delivery's labels durably (`id, label, available_at`); the same delivery again changes nothing."""
        ...

    def join(self, clock: datetime) -> LabelCounts:
        """Join every label that is due at `clock` and whose row is collected.

        A label is due at its `available_at`, else at min(arrival, end of its row's window + delay).
        """
        ...

    def next_due(self, after: datetime) -> datetime | None:
        """The next moment after `after` at which a staged label of a collected row becomes due."""
        ...

    def revision(self, batch: str) -> int:
        """Number of label rows applied to this batch; grows with every join that touched it."""
        ...

    def unsettled(self, recorded: Mapping[str, int]) -> Sequence[str]:
        """Collected batches whose revision is not the recorded one (0 where none is), in order of window end.

        What is recorded of a batch changes to its revision only: one that was settled is not looked at again until
        labels are joined to it.
        """
        ...

    def labels(self, batch: str) -> pa.Table:
        """`id, label` of the batch's labelled rows, in the order of the batch's rows."""
        ...

    def coverage(self, batch: str) -> float:
        """Share of the batch's rows that have a label."""
        ...

    def labelled_rows(self) -> Mapping[str, int]:
        """Labelled rows per collected batch, in order of window end; until the next call that changes any."""
        ...

    @property
    def total(self) -> tuple[int, int]:
        """Labelled rows of all collected batches, and how many batches have any."""
        ...

    @property
    def pending(self) -> int: ...
    @property
    def unmatched(self) -> Unmatched:
        """Those of the pending ones that wait for a batch that may never come; counted only after they have changed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBundle:
    """A version on disk: `weights/`, `code.py`, `reference.safetensors`, `manifest.json`.

    Of a model that is served elsewhere the first two are not there.
    """

    folder: Path
    manifest: Manifest


class Artefacts(Protocol):
    """Version folders of one deployment, written once."""

    def folder(self, version: int) -> Path: ...
    def verify(self, manifest: Manifest) -> ModelBundle:
        """Check every file's hash. Raises ArtefactError naming the file."""
        ...

    def publish(self, staged: Path, manifest: Manifest) -> Manifest:
        """Hash, fsync and move a staged folder to its place; returns the manifest with `files`."""
        ...

    def reap(self, known: Iterable[int]) -> None:
        """Remove what a dead process left: staged folders and versions that are not in the store."""
        ...


class Scorer(Protocol):
    """Scores with a model in a process of its own, or takes the scores that came with the rows.

    Raises ModelError (raised, wrong shape, NaN, hung, died), ConfigError when a class has no column of scores.
    """

    def score(self, bundle: ModelBundle, rows: pa.Table) -> Scores: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One run of the trainer. `snapshot` is Parquet, oldest row first: schema columns, label, `_origin`.

    The newest `held_out` rows are kept out of every candidate, scored by all of them and by the champion; the
    best is held to the gate and, when it passes, fitted again with them. The boolean column `_fitted` of the snapshot
    marks rows that the champion was trained on and must not be compared on, `_anchor` those that no model is fitted on
    and none may forget. `earlier` versions are asked about the held-out rows, too, and one that is clearly better than
    every candidate comes back as it is.

    For candidates that ask for it: `current`, Parquet of the features of the newest rows, labelled or not; `prior`, the
    shares of the classes estimated now; `change`, when the newest change began whose alarm stands; `selections`, the
    file of each candidate that is a user's own.
    """

    staging: Path  # where the new version's folder is built
    snapshot: Path
    code: Path
    params: Mapping[str, Any]
    schema: Mapping[str, Any]  # Schema.to_dict()
    seed: int
    held_out: int
    window_rows: int
    candidates: Sequence[str]
    record: Mapping[str, float]  # earlier, discounted losses per candidate (`domain.choice`)
    gate: GateRule
    metric: str
    champion: ModelBundle | None = None
    earlier: Sequence[ModelBundle] = ()
    selections: Mapping[str, Path] = field(default_factory=dict)
    current: Path | None = None
    prior: Mapping[str, float] = field(default_factory=dict)
    change: datetime | None = None
    min_class_rows: int = 0  # a candidate with fewer rows of any class is left out
    trust: Sequence[str] = ()
    timeout: timedelta = timedelta(hours=1)
    memory: int = 8 * 1024**3  # bytes of resident memory of the child


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What the trainer measured; `outcome` is the gate's word and `staging` holds the version only for `promote`.

    `intervals`: 95%, of each of `metrics`. `facts`: numbers about the rows of each candidate: `rows`, and what its
    selection counted. `refused`: why a candidate could not be made. `checks`: what the gate asked, with every number;
    none without a champion. `returning`: the earlier version that was chosen instead of a candidate.
    """

    outcome: str  # promote | keep | reject
    reason: str
    chosen: str
    classes: tuple[str, ...]
    losses: Mapping[str, float]  # mean held-out loss of each candidate, and of "champion"
    metrics: Mapping[str, float]  # held-out metric of each candidate, and of "champion"
    intervals: Mapping[str, tuple[float, float]]
    record: Mapping[str, float]
    facts: Mapping[str, Mapping[str, float]]
    refused: Mapping[str, str]
    checks: tuple[Check, ...]
    rows: int
    held_out: int
    seconds: float
    returning: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class Trainer(Protocol):
    def train(self, job: TrainingJob, progress: Callable[[float, str], None]) -> TrainingResult:
        """Run in a child process with limits. Raises ModelError (raised, timed out, too much memory, died)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorsSeen:
    """`recent`: so many of the newest errors are of one rate, `now`; `before`: the rate until then, None: no change."""

    recent: int
    before: float | None
    now: float


class ErrorRate(Protocol):
    def look(self, past: npt.NDArray[np.float32], fresh: npt.NDArray[np.float32]) -> ErrorsSeen:
        """Has the rate of the errors, 0 or 1 each, changed within `fresh`? The same errors give the same answer."""
        ...


class Reporter(Protocol):
    def report(
        self,
        reference: pa.Table,
        current: pa.Table,
        *,
        schema: Mapping[str, Any],
        title: str,
        out: Path,
        remarks: Sequence[str] = (),
    ) -> Path:
        """Write an HTML report in a child process, the remarks on top of it.

        Raises MonitorError; never leaves half a file.
        """
        ...


class Expiry(Protocol):
    """The files of one deployment, by when they were written. Raises StoreError."""

    def batches(self, before: datetime) -> list[str]: ...
    def remove_rows(self, before: datetime, keep: Collection[str]) -> int: ...
    def remove_quarantine(self, before: datetime) -> int: ...
    def remove_reports(self, before: datetime) -> int: ...
    def remove_pushed(self, kind: DeliveryKind, before: datetime, settled: Collection[str]) -> int: ...


class Clock(Protocol):
    def __call__(self) -> datetime:
        """Wall time, aware, UTC."""
        ...


class Log(Protocol):
    """Structured log: a stable event name and fields."""

    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...
