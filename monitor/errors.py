"""Everything this package raises on purpose.

MonitorError
├─ ConfigError         the operator must edit a file                → exit 2
├─ DataError           these rows cannot be judged; names file, column, row → verdict `bad_data`
│  └─ TooFewRows       nothing is wrong with them, there are too few → verdict `insufficient_data`
├─ UnreachableError    something of ours does not answer: retry     → exit 3
│  ├─ StoreError       the database or the data folder
│  ├─ SourceError      where batches or labels come from
│  └─ BusyError        another process holds the lease
└─ ModelError          code under models/ misbehaved                → exit 4
   └─ ArtefactError    a saved model is not what was saved
"""

from __future__ import annotations


class MonitorError(Exception):
    """Base of all errors raised on purpose; its text is fit to be shown to the operator."""

    exit_code = 1


class ConfigError(MonitorError):
    """A configuration that cannot be used; the text names the file, the key and the nearest valid key."""

    exit_code = 2


class DataError(MonitorError):
    """Rows that cannot be judged. The text names the file, and where known the column and the row."""

    exit_code = 1

    def __init__(
        self, message: str, *, file: str | None = None, column: str | None = None, row: int | None = None
    ) -> None:
        self.file, self.column, self.row = file, column, row
        where = [
            *([file] if file else []),
            *([f"column {column!r}"] if column else []),
            *([f"row {row}"] if row is not None else []),
        ]
        super().__init__(f"{', '.join(where)}: {message}" if where else message)


class TooFewRows(DataError):
    """A statistic needs more rows than there are."""

    def __init__(self, *, need: int, have: int, what: str = "") -> None:
        self.need, self.have = need, have
        super().__init__(f"need at least {need} rows{f' for {what}' if what else ''}, have {have}")


class UnreachableError(MonitorError):
    """Something outside the process does not answer; the same call may succeed later."""

    exit_code = 3


class StoreError(UnreachableError):
    """The database or the data folder cannot be read or written."""


class SourceError(UnreachableError):
    """The place where batches or labels come from cannot be read."""


class BusyError(UnreachableError):
    """Another process works on this; the text says which."""


class ModelError(MonitorError):
    """The model's own code raised, hung, died or returned what is not a prediction."""

    exit_code = 4


class ArtefactError(ModelError):
    """A stored model's file is missing or its hash differs from the one recorded at save."""


class OtherSettingsError(ArtefactError):
    """A detector's state that is whole, but of another reference or other settings."""
