"""One pass over a deployment: everything that waits, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from monitor.app.champion import ensure_champion
from monitor.app.check_batch import check_batch
from monitor.app.conclude import Conclusion, conclude_trial
from monitor.app.intake import waiting_batches
from monitor.app.join_labels import stage_labels
from monitor.app.memory import RetrainMemory
from monitor.app.restate import restate_windows
from monitor.app.retention import expire_daily
from monitor.app.retrain_model import Attempt, retrain
from monitor.app.runtime import Runtime
from monitor.domain.model import Progress
from monitor.domain.record import BatchRecord


def _ignore(_: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who wants to know while it happens. `stop` is asked between batches; `progress` hears the trainer."""

    record: Callable[[BatchRecord], None] = _ignore
    attempt: Callable[[Attempt], None] = _ignore
    conclusion: Callable[[Conclusion], None] = _ignore
    progress: Progress = field(default=lambda share, what: None)
    stop: Callable[[], bool] = field(default=lambda: False)


def advance(rt: Runtime, listener: Listener) -> list[BatchRecord]:
    """Judge all waiting batches in event order, join labels, and make the attempts that are decided.

    The policy's clock is the end of the batch's window, so a backlog ends exactly as it would have live. The caller
    holds the lease. Raises what `check_batch` and `retrain` raise; what was recorded before stays. A file or folder
    that cannot be read stops no other: its SourceError is raised at the end.
    """
    now = rt.clock()
    rt.unreadable.clear()
    champion = ensure_champion(rt, listener.progress)
    stage_labels(rt, now)
    records: list[BatchRecord] = []
    _act(rt, listener)
    for item in waiting_batches(rt, now):
        if listener.stop():
            return records
        champion = rt.champion() or champion
        record = check_batch(rt, item, champion, now=now)
        records.append(record)
        listener.record(record)
        _act(rt, listener)
    if listener.stop():
        return records  # labels that are due by now come after an attempt that was decided and is still to be made
    champion = rt.champion() or champion
    restate_windows(rt, champion, now)
    expire_daily(rt, now)
    if rt.unreadable:
        raise rt.unreadable[0]
    return records


def _act(rt: Runtime, listener: Listener) -> None:
    """What the last batch has decided: the end of a trial first, then an attempt."""
    if (conclusion := conclude_trial(rt)) is not None:
        listener.conclusion(conclusion)
    memory = RetrainMemory.load(rt.kept, rt.name)
    if memory.pending is not None and not listener.stop():
        listener.attempt(retrain(rt, memory.pending, listener.progress))
