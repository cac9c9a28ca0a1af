"""Where a deployment's batches and labels come from, by its configuration; beside that, what is pushed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from monitor.adapters.file_source import FileBatchSource, FileLabelSource
from monitor.adapters.inbox import BatchesWithInbox, WithInbox, batch_inbox, label_inbox
from monitor.adapters.sql_source import SqlBatchSource, SqlLabelSource
from monitor.app.ports import BatchSource, Clock, LabelSource
from monitor.app.push import Inbox
from monitor.config.deployment import Deployment
from monitor.config.sources import LabelsConfig
from monitor.domain.batch import DeliveryKind, LedgerEntry
from monitor.domain.schema import Schema
from monitor.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Sources:
    """`labels_in`: a source of the one file that an operator points at; raises ConfigError without `labels`."""

    batches: BatchSource
    labels: LabelSource | None
    labels_in: Callable[[Path], LabelSource]
    inboxes: Mapping[DeliveryKind, Inbox]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMaker:
    """`data` is as configured: relative to the project, or not. `ledger` gives the entries of a kind after an id.

    `classes` are those that the champion knows. Neither is asked, nor anything read, until the sources are.
    """

    config: Deployment
    schema: Schema
    project: Path
    data: Path
    ledger: Callable[[DeliveryKind, int], Sequence[LedgerEntry]]
    classes: Callable[[], Sequence[str]]
    clock: Clock

    def make(self) -> Sources:
        pushed = self.data / "inbox" / self.config.name
        batch_files = batch_inbox(pushed / "batches", self.project, self.config.batches, self.schema)
        batches = BatchesWithInbox(batch_files, self._batches())
        inboxes: dict[DeliveryKind, Inbox] = {DeliveryKind.BATCH: batch_files}
        config, schema, project = self.config.labels, self.schema, self.project
        if config is None:
            return Sources(batches, None, self._no_labels, inboxes)
        label_files = label_inbox(pushed / "labels", project, config, schema, self.classes)
        labels = WithInbox(label_files, self._labels(config))

        def labels_in(file: Path) -> LabelSource:
            return FileLabelSource(str(file.resolve()), config, schema, project, self.classes)

        return Sources(batches, labels, labels_in, {**inboxes, DeliveryKind.LABELS: label_files})

    def _no_labels(self, _: Path) -> LabelSource:
        raise ConfigError(f"{self.config.name}: the deployment has no `labels` section")

    def _batches(self) -> BatchSource | None:
        config, schema, project = self.config.batches, self.schema, self.project
        if config.source == "sql":
            return SqlBatchSource(config, schema, project, partial(self.ledger, DeliveryKind.BATCH), self.clock)
        return FileBatchSource(config.path, config, schema, project) if config.path else None

    def _labels(self, config: LabelsConfig) -> LabelSource | None:
        schema, project = self.schema, self.project
        if config.source == "sql":
            ledger = partial(self.ledger, DeliveryKind.LABELS)
            return SqlLabelSource(config, schema, project, ledger, self.clock, classes=self.classes)
        return FileLabelSource(config.path, config, schema, project, self.classes) if config.path else None
