"""Rows that come over the wire: judged while the sender listens, kept durably, then as any other delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from monitor.app.ports import Log, Store, Validated
from monitor.domain.batch import DeliveryKind
from monitor.errors import ConfigError, DataError, MonitorError

REFUSED = "push_refused"  # in the journal
_FIRST_REASONS = 5  # of refused rows, told to the sender; the quarantine file has them all


class ConflictError(MonitorError):
    """The id is taken by other content; the text says where."""


class Inbox(Protocol):
    """Where pushed content of one kind waits for the next pass."""

    def judge(self, name: str, suffix: str, content: bytes, *, now: datetime) -> Validated:
        """Raises DataError when it is unusable as a whole."""
        ...

    def hash(self, content: bytes) -> str:
        """The fingerprint that the ledger will have."""
        ...

    def put(self, name: str, suffix: str, content: bytes) -> bool:
        """Keep it durably; False when other content lies there under this id. Raises StoreError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What the sender is told. `state` is the ledger's: `waiting` for the next pass, or what became of it already.

    `rejected` rows go to quarantine when the batch is judged; the first of them are in `reasons`.
    """

    deployment: str
    id: str
    state: str
    rows: int
    rejected: int
    reasons: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Takes what is pushed to one deployment; `inboxes` has no labels where the deployment has none."""

    deployment: str
    store: Store
    inboxes: Mapping[DeliveryKind, Inbox]
    log: Log

    def take(self, kind: DeliveryKind, name: str, suffix: str, content: bytes, *, now: datetime) -> Pushed:
        """Take it in once: the same content under the same id again changes nothing.

        Raises DataError when it is unusable as a whole, and then keeps only that it came; ConflictError when the id is
        taken; ConfigError for labels of a deployment that has none.
        """
        inbox = self.inboxes.get(kind)
        if inbox is None:
            raise ConfigError(f"{self.deployment}: the deployment has no `labels` section")
        known = next(iter(reversed(self.store.matching(self.deployment, kind, name=name))), None)
        if known is not None and known.fingerprint != inbox.hash(content):
            raise ConflictError(f"{self.deployment}: {kind.value} {name!r} was delivered before with other content")
        try:
            validated = inbox.judge(name, suffix, content, now=now)
        except DataError as exc:
            self._refused(kind, name, str(exc), now)
            raise
        if not inbox.put(name, suffix, content):
            raise ConflictError(f"{self.deployment}: {kind.value} {name!r} was pushed before with other content")
        rows, rejected = validated.rows.num_rows, validated.rejected.num_rows
        self.log.info("pushed", deployment=self.deployment, kind=kind.value, id=name, rows=rows, rejected=rejected)
        first = validated.rejected.select(["row", "column", "reason", "detail"]).slice(0, _FIRST_REASONS)
        return Pushed(
            deployment=self.deployment,
            id=name,
            state=known.state.value if known else "waiting",
            rows=rows,
            rejected=rejected,
            reasons=tuple(first.to_pylist()),
            notes=validated.notes,
        )

    def _refused(self, kind: DeliveryKind, name: str, error: str, now: datetime) -> None:
        """The sender is told, and so is whoever watches; one that sends the same again and again is told of once."""
        self.log.warning("push_refused", deployment=self.deployment, kind=kind.value, id=name, error=error)
        told = {"kind": kind.value, "id": name, "error": error}
        before = self.store.events(self.deployment, event=REFUSED, last=1)
        if not (before and told.items() <= before[0].items()):
            with self.store.transaction() as tx:
                tx.add_event(self.deployment, now, REFUSED, told)
