"""Where a deployment's batches and labels come from, by its configuration; beside that, what is pushed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.adapters.file_source import FileBatchSource, FileLabelSource
from monitor.adapters.inbox import BatchesWithInbox, WithInbox, batch_inbox, label_inbox
from monitor.adapters.sql_source import SqlBatchSource, SqlLabelSource
from monitor.app.ports import BatchSource, Clock, LabelSource, Store
from monitor.app.push import Inbox
from monitor.config.deployment import Deployment
from monitor.domain.batch import DeliveryKind, LedgerEntry
from monitor.domain.schema import Schema


@dataclass(frozen=True, slots=True)
class Sources:
    batches: BatchSource
    labels: LabelSource | None
    inboxes: Mapping[DeliveryKind, Inbox]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMaker:
    """`data` is as configured: relative to the project, or not."""

    config: Deployment
    schema: Schema
    project: Path
    data: Path
    store: Store
    clock: Clock

    def make(self) -> Sources:
        pushed = self.data / "inbox" / self.config.name
        batch_files = batch_inbox(pushed / "batches", self.project, self.config.batches, self.schema)
        batches = BatchesWithInbox(batch_files, self._batches())
        if self.config.labels is None:
            return Sources(batches, None, {DeliveryKind.BATCH: batch_files})
        label_files = label_inbox(pushed / "labels", self.project, self.config.labels, self.schema)
        labels = WithInbox(label_files, self._labels())
        return Sources(batches, labels, {DeliveryKind.BATCH: batch_files, DeliveryKind.LABELS: label_files})

    def _batches(self) -> BatchSource | None:
        config, schema, project = self.config.batches, self.schema, self.project
        if config.source == "sql":
            return SqlBatchSource(config, schema, project, self._batch_ledger, self.clock)
        return FileBatchSource(config.path, config, schema, project) if config.path else None

    def _labels(self) -> LabelSource | None:
        config, schema, project = self.config.labels, self.schema, self.project
        if config is None:
            return None
        if config.source == "sql":
            return SqlLabelSource(config, schema, project, self._label_ledger, self.clock)
        return FileLabelSource(config.path, config, schema, project) if config.path else None

    def _batch_ledger(self, after: int) -> Sequence[LedgerEntry]:
        return self.store.entries(self.config.name, DeliveryKind.BATCH, after=after)

    def _label_ledger(self, after: int) -> Sequence[LedgerEntry]:
        return self.store.entries(self.config.name, DeliveryKind.LABELS, after=after)
