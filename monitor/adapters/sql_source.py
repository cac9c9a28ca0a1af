"""`BatchSource` and `LabelSource` on a database: a query, asked for one window of time after the other.

A window is a delivery once the watermark has passed it: its end and the `lateness` that rows are allowed. Rows that
come later still are seen when the newest windows are counted again; the ledger then reports a replaced delivery, and
counts nothing twice. What is only changed, not added or removed, is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from monitor.adapters.content_hash import content_hash
from monitor.adapters.sql_reading import Database
from monitor.adapters.validation.labels import LabelColumns, validate_labels
from monitor.adapters.validation.rows import validate_rows
from monitor.app.ports import Clock, Validated
from monitor.config.sources import BatchesConfig, LabelsConfig
from monitor.domain.batch import Delivery, DeliveryState, IsSettled, LedgerEntry, Window
from monitor.domain.schema import Schema
from monitor.errors import ConfigError, SourceError

_COUNTED_AGAIN = 24  # newest windows, at every pass
_MOST_NEW = 1000  # windows of a backlog that one pass takes on
_NAME = "%Y-%m-%dT%H%M%SZ"
_OPEN = (DeliveryState.SEEN, DeliveryState.CLAIMED)

Ledger = Callable[[int], Sequence[LedgerEntry]]  # entries with a larger id, in their order


class _Windows:
    """The windows of one query, as deliveries. A locator names the window, so that another length is another source."""

    def __init__(
        self,
        config: BatchesConfig | LabelsConfig,
        *,
        key: str,
        schema: Schema,
        project: Path,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        if config.url is None or config.query is None or config.window is None or config.since is None:
            raise ConfigError(f"{key}: source `sql` needs `url`, `query`, `window` and `since`")
        self._config, self._query, self._length, self._since = config, config.query, config.window, config.since
        self._key, self._project, self._ledger, self._clock = key, project, ledger, clock
        self._order, self._private = schema.id or "", bool(schema.private)
        self._url = config.url
        self._database: Database | None = None
        self._first = 0  # window that is not settled
        self._oldest = 0  # window that is still looked at: those before it are settled, and never asked for again
        self._settled: set[str] = set()  # locators of settled windows, from the oldest on
        self._taken_in = 0  # up to this id all entries of the ledger are settled and known
        self._read: dict[str, str] = {}  # locator → fingerprint, of windows that are to be read next

    def deliveries(self, is_settled: IsSettled | None) -> list[Delivery]:
        self._update()
        passed = int((self._clock() - self._config.lateness - self._since) / self._length)
        while self._locator(self._window(self._first)) in self._settled:
            self._first += 1
        while self._oldest < min(self._first, passed - _COUNTED_AGAIN):
            self._settled.discard(self._locator(self._window(self._oldest)))
            self._oldest += 1
        new: list[Window] = []
        again: list[Window] = []
        for number in range(self._oldest, max(0, passed)):
            window = self._window(number)
            if self._locator(window) not in self._settled:
                new.append(window)
            elif number >= passed - _COUNTED_AGAIN:
                again.append(window)
        counts = self._opened().counts(self._query, again) if again else []
        recounted = [self._delivery(window, size=count) for window, count in zip(again, counts, strict=True)]
        found = [*recounted, *(self._delivery(window, size=0) for window in new[:_MOST_NEW])]
        return [d for d in found if is_settled is None or not is_settled(d.locator, d.size, d.modified)]

    def window(self, delivery: Delivery) -> Window:
        start = datetime.strptime(delivery.name, _NAME).replace(tzinfo=UTC)
        return Window(start, start + self._length)

    def fingerprint(self, delivery: Delivery) -> str:
        found = self._hash(delivery, self._content(delivery))
        self._read[delivery.locator] = found
        return found

    def content(self, delivery: Delivery) -> bytes:
        """Raises SourceError when a row came between the fingerprint and this: the next pass will see them all."""
        content = self._content(delivery)
        expected = self._read.pop(delivery.locator, None)
        if expected is not None and expected != self._hash(delivery, content):
            raise SourceError(f"{self._key}: the rows of {delivery.name} changed while they were read; tried again")
        return content

    def _update(self) -> None:
        """Take in what the ledger has settled since."""
        later = self._ledger(self._taken_in)
        self._settled.update(entry.locator for entry in later if entry.state not in _OPEN)
        if later:
            still_open = (entry.id for entry in later if entry.state in _OPEN)
            self._taken_in = next(still_open, later[-1].id + 1) - 1

    def _content(self, delivery: Delivery) -> bytes:
        return self._opened().rows(self._query, self.window(delivery), order=self._order)

    def _opened(self) -> Database:
        """Opened when first used: a database that is away is no reason not to start."""
        if self._database is None:
            self._database = Database(
                self._url,
                key=self._key,
                project=self._project,
                timeout=self._config.timeout,
                private=self._private,
            )
        return self._database

    def _window(self, number: int) -> Window:
        start = self._since + number * self._length
        return Window(start, start + self._length)

    def _delivery(self, window: Window, *, size: int) -> Delivery:
        """`size` is in rows; 0 as long as they were not counted."""
        return Delivery(
            locator=self._locator(window),
            name=window.start.strftime(_NAME),
            size=size,
            modified=window.end + self._config.lateness,
        )

    def _locator(self, window: Window) -> str:
        return f"sql:{window.start.strftime(_NAME)}/{window.end.strftime(_NAME)}"

    @staticmethod
    def _hash(delivery: Delivery, content: bytes) -> str:
        """The window is part of it: the same rows in another window are no redelivery."""
        return content_hash(content, place=delivery.locator)


class SqlBatchSource:
    def __init__(self, config: BatchesConfig, schema: Schema, project: Path, ledger: Ledger, clock: Clock) -> None:
        self._windows = _Windows(config, key="batches", schema=schema, project=project, ledger=ledger, clock=clock)
        self._schema, self._future = schema, config.future

    def deliveries(self, is_settled: IsSettled | None = None) -> Sequence[Delivery]:
        return self._windows.deliveries(is_settled)

    def is_complete(self, delivery: Delivery, *, now: datetime) -> bool:
        """The watermark has passed, or there would be no delivery."""
        return delivery.modified <= now

    def fingerprint(self, delivery: Delivery) -> str:
        return self._windows.fingerprint(delivery)

    def window(self, delivery: Delivery) -> Window:
        return self._windows.window(delivery)

    def read(self, delivery: Delivery, *, now: datetime) -> Validated:
        """Rows outside of their window are refused: then the query does not ask for `:start` and `:end` of the schema's
        timestamp."""
        content, file = self._windows.content(delivery), f"{delivery.name}.arrow"
        window = self._windows.window(delivery)
        return validate_rows(content, file, self._schema, window=window, latest=now + self._future)


class SqlLabelSource:
    """`classes` as in `FileLabelSource`."""

    def __init__(
        self,
        config: LabelsConfig,
        schema: Schema,
        project: Path,
        ledger: Ledger,
        clock: Clock,
        *,
        classes: Callable[[], Sequence[str]],
    ) -> None:
        if schema.id is None or schema.label is None:
            raise ConfigError("labels: the schema needs `id` and `label`, by which labels are joined")
        self._windows = _Windows(config, key="labels", schema=schema, project=project, ledger=ledger, clock=clock)
        self._classes = classes
        self._columns = LabelColumns(
            id=schema.id,
            label=schema.label,
            available_at=config.available_at,
            timezone=schema.timezone,
            private=bool(schema.private),
        )

    def deliveries(self, is_settled: IsSettled | None = None) -> Sequence[Delivery]:
        return self._windows.deliveries(is_settled)

    def is_complete(self, delivery: Delivery, *, now: datetime) -> bool:
        return delivery.modified <= now

    def fingerprint(self, delivery: Delivery) -> str:
        return self._windows.fingerprint(delivery)

    def read(self, delivery: Delivery, *, now: datetime) -> Validated:
        content = self._windows.content(delivery)
        return validate_labels(content, f"{delivery.name}.arrow", self._columns, self._classes())
