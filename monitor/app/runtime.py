"""One deployment with everything it needs to work, and the lease under which it works."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from monitor.app.kept import Kept
from monitor.app.known_deliveries import KnownDeliveries
from monitor.app.leases import Leases, pass_lease
from monitor.app.ports import (
    Artefacts,
    BatchSource,
    Clock,
    CollectedData,
    ErrorRate,
    Expiry,
    LabelBook,
    LabelSource,
    Log,
    ModelBundle,
    Reporter,
    Scorer,
    Store,
    Trainer,
    Transaction,
)
from monitor.config.deployment import Deployment
from monitor.config.settings import Settings
from monitor.domain.batch import DeliveryKind, LedgerEntry
from monitor.domain.model_reference import ModelReference
from monitor.domain.packed_names import PackedCounts
from monitor.domain.performance_estimate import Estimator, estimator_of
from monitor.domain.schema import Schema
from monitor.domain.version import Alias
from monitor.domain.watch.model_watch import ModelWatch
from monitor.domain.watch.rule import ColumnRule, FalseAlarmRate, WatchRule
from monitor.errors import BusyError, SourceError

_ASK_AGAIN_SECONDS = 0.2
_GENERATION = "generation"  # state key: who wrote this deployment's files last


@dataclass(frozen=True, slots=True)
class Champion:
    """The deployed version, what it was trained on, the detector that watches it under rule `budget`, and what tells
    how good it is before labels come; None without held-out rows. `learnt`: the classes that any version has known."""

    bundle: ModelBundle
    reference: ModelReference
    watch: ModelWatch
    estimator: Estimator | None
    learnt: frozenset[str]

    @property
    def version(self) -> int:
        return self.bundle.manifest.version


@dataclass(slots=True, kw_only=True)
class Runtime:
    """Ports and configuration of one deployment; used by one thread at a time, under `working`.

    `collected`, `book`, `ledger` and `kept` hold what they have read in memory; they are made anew when another process
    has worked on the deployment since.
    """

    config: Deployment
    settings: Settings
    schema: Schema
    store: Store
    batches: BatchSource
    labels: LabelSource | None
    open_labels: Callable[[Path], LabelSource]  # a source of the one file that an operator points at
    read_labelled: Callable[[str, str], pa.Table]  # path, setting → rows with the label column; the rest is reported
    open_data: Callable[[], tuple[CollectedData, LabelBook]]
    stored_rows: Callable[[str, datetime], pa.Table | None]  # of a batch whose window starts then; takes no lease
    artefacts: Artefacts
    scorer: Scorer
    beside: Scorer  # for the version on trial beside the champion
    trainer: Trainer
    reporter: Reporter
    error_rate: ErrorRate | None
    expiry: Expiry
    clock: Clock
    log: Log
    leases: Leases
    at_work: threading.Lock  # a lease is the process', not the thread's
    collected: CollectedData = field(init=False)
    book: LabelBook = field(init=False)
    kept: Kept = field(init=False)
    unreadable: list[SourceError] = field(default_factory=list)  # of this pass: files and folders
    latest: datetime | None = None  # end of the newest window recorded: the policy's clock never goes back
    corrects: bool = False  # the last batch was served with scores corrected for its class shares
    ledger: dict[DeliveryKind, KnownDeliveries] = field(default_factory=dict)
    revisions: PackedCounts = field(
        default_factory=PackedCounts
    )  # batch → label revision its record was written for, not 0
    expired: datetime | None = None  # when old files were last looked for
    _generation: bytes = b""
    _champion: Champion | None = None

    def __post_init__(self) -> None:
        self.kept = Kept(self.store)

    @property
    def name(self) -> str:
        return self.config.name

    def champion(self) -> Champion | None:
        """The deployed version with its reference, verified when first used; None before the first training."""
        version = self.kept.alias(self.name, Alias.CHAMPION)
        if version is None:
            return None
        if self._champion is None or self._champion.version != version:
            manifest = self.store.manifest(self.name, version)
            if manifest is None:
                raise LookupError(f"{self.name}: champion {version} is not among the versions")
            self._champion = self.deployed(self.artefacts.verify(manifest))
        return self._champion

    def reference(self, version: int) -> ModelReference:
        """Of any version, whoever works on the deployment. Raises ArtefactError, LookupError."""
        champion = self._champion
        if champion is not None and champion.version == version:
            return champion.reference
        manifest = self.store.manifest(self.name, version)
        if manifest is None:
            raise LookupError(f"{self.name}: no version {version}")
        return _reference_in(self.artefacts.verify(manifest))

    def deployed(self, bundle: ModelBundle) -> Champion:
        """A version's files as they are when it is the champion."""
        reference = _reference_in(bundle)
        how = self.config.performance
        estimator = estimator_of(reference.held_out, reference.label_shift, how.calibration, how.estimate)
        learnt = frozenset(name for manifest in self.store.manifests(self.name) for name in manifest.classes)
        return Champion(bundle, reference, _watch_of(reference, self.config), estimator, learnt)

    @contextmanager
    def working(self, patience: timedelta = timedelta(0)) -> Iterator[None]:
        """Hold the deployment's lease; raises BusyError naming the process that still has it after `patience`."""
        deadline = time.monotonic() + patience.total_seconds()
        if not self.at_work.acquire(timeout=patience.total_seconds()):
            raise BusyError(f"{self.name}: this process is at work on the deployment")
        try:
            while (other := self.leases.take(self._lease)) is not None:
                if time.monotonic() >= deadline:
                    raise BusyError(f"{self.name}: {other} is working on this deployment")
                time.sleep(_ASK_AGAIN_SECONDS)  # a lease is a row in the database: nothing to wait on but asking
            try:
                self._refresh()
                yield
            finally:
                self.leases.release(self._lease)
        finally:
            self.at_work.release()

    def retire(self) -> None:
        """End the processes that score, once what is at work is done: another runtime has taken this one's place."""
        with self.at_work:
            pass  # not held any longer: the next pass, which is another runtime's, begins at once
        self.scorer.close()
        self.beside.close()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Takes effect only if the lease is still held at the end: what lost it must not write into another's work."""
        try:
            with self.store.transaction() as tx:
                tx.guard(self._lease, owner=self.leases.owner)
                yield tx
        except BaseException:  # a commit that failed may have taken effect
            self.kept.forget()
            raise
        self.kept.took_effect(tx)

    def settled(self, entry: LedgerEntry) -> None:
        """After the transaction: this delivery need not be asked for again."""
        if (known := self.ledger.get(entry.kind)) is not None:
            known.settle(entry)

    @property
    def _lease(self) -> str:
        return pass_lease(self.name)

    def _refresh(self) -> None:
        """Read the files again when somebody else has worked on them since."""
        last = self.store.state(self.name, _GENERATION)
        if last is not None and last == self._generation:
            return
        self.collected, self.book = self.open_data()
        self.ledger.clear()
        self.kept.forget()
        self.artefacts.reap(m.version for m in self.store.manifests(self.name))
        records = self.store.records(self.name)
        recorded = {record["batch"] for record in records}
        for batch in self.collected.batches():
            if batch not in recorded:
                self.collected.discard(batch)  # written, but the process died before it was recorded
        revisions = {record["batch"]: record.get("labels_revision", 0) for record in records}
        self.revisions = PackedCounts({batch: revision for batch, revision in revisions.items() if revision})
        scored = [record for record in records if record["model_version"] is not None]
        self.latest = max((datetime.fromisoformat(record["window_end"]) for record in scored), default=None)
        self._generation = secrets.token_bytes(16)
        with self.transaction() as tx:
            tx.put_state(self.name, _GENERATION, self._generation)


def _reference_in(bundle: ModelBundle) -> ModelReference:
    return ModelReference.from_bytes((bundle.folder / "reference.safetensors").read_bytes())


def _watch_of(reference: ModelReference, config: Deployment) -> ModelWatch:
    detect = config.detect
    rule = WatchRule(
        false_alarms=FalseAlarmRate.parse(detect.false_alarms),
        incidents=FalseAlarmRate.parse(detect.incidents or detect.false_alarms),
        season=detect.season,
        mode=detect.mode,
        min_effect=detect.min_effect,
        max_distance=detect.max_distance,
        columns=tuple(ColumnRule(pattern=p, **each.model_dump()) for p, each in detect.columns.items()),
    )
    return ModelWatch(
        reference,
        rule,
        min_loss_increase=detect.min_loss_increase,
        zone=ZoneInfo(config.schema_.timezone or "UTC"),
        watch_calendar=detect.watch_calendar,
    )
