"""What is said of a whole file when there are private columns: why it is refused, but nothing that stands in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from monitor.domain.private import WITHHELD
from monitor.domain.quarantine import FileReason
from monitor.errors import DataError

_QUOTING = (FileReason.DAMAGED, FileReason.MISSING_COLUMN, FileReason.DUPLICATE_COLUMN)


@contextmanager
def discreet(names: Collection[str], *, private: bool) -> Iterator[None]:
    """Raise the DataErrors of the block without what a file without its header has for column names: a row.

    Names that are among `names`, the schema's, are still told.
    """
    try:
        yield
    except DataError as exc:
        reason = next((r for r in _QUOTING if r.text in str(exc)), None)
        if not private or reason is None:
            raise
        column = exc.column if exc.column in names else None
        raise DataError(f"{reason.text}; more is {WITHHELD}", file=exc.file, column=column, row=exc.row) from None
