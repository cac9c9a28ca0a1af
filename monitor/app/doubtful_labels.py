"""What an operator says about labels: these are right, learn from them; those are wrong, never do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from monitor.app.label_memory import LabelMemory
from monitor.app.memory import DetectorMemory
from monitor.app.ports import Store
from monitor.app.restate import Restating, write_restated
from monitor.app.runtime import Champion, Runtime
from monitor.domain.label_trust import Doubt, LabelTrust, Standing, reject, release
from monitor.errors import ConfigError


def doubtful_labels(store: Store, deployment: str) -> tuple[Doubt, ...]:
    """Held windows first, then rejected and released ones, each in order of window end."""
    trust = LabelMemory.load(store, deployment).trust
    return tuple(
        doubt for standing in (Standing.HELD, Standing.REJECTED, Standing.RELEASED) for doubt in trust.of(standing)
    )


def release_labels(rt: Runtime, batches: Sequence[str], reason: str) -> tuple[Doubt, ...]:
    """Let the labels of these windows be learnt from, by default of all held ones; their performance is judged now.

    Raises ConfigError for a batch whose labels are neither held nor rejected, and without a champion.
    """
    champion, labels = _champion(rt), LabelMemory.load(rt.kept, rt.name)
    known = {d.batch: d for d in labels.trust.doubts.values() if d.standing is not Standing.RELEASED}
    chosen = batches or [doubt.batch for doubt in labels.trust.of(Standing.HELD)]
    for batch in chosen:
        if batch not in known:
            raise ConfigError(f"{rt.name}: the labels of {batch!r} are not held; held are {_listed(labels.trust)}")
    trust, changed = release(labels.trust, chosen, reason=reason)
    return _write(rt, champion, trust, changed)


def reject_labels(rt: Runtime, batches: Sequence[str], reason: str) -> tuple[Doubt, ...]:
    """Never learn from the labels of these windows, by default of all held ones, as they are now.

    Their performance is taken back. Other labels that come for them later are looked at as if they were the first.
    Raises ConfigError for a batch that has no labels, and without a champion.
    """
    champion, labels = _champion(rt), LabelMemory.load(rt.kept, rt.name)
    chosen = batches or [doubt.batch for doubt in labels.trust.of(Standing.HELD)]
    doubts = [labels.trust.doubts.get(batch) or _doubt(rt, batch) for batch in chosen]
    trust, changed = reject(labels.trust, doubts, reason=reason)
    return _write(rt, champion, trust, changed)


def _champion(rt: Runtime) -> Champion:
    champion = rt.champion()
    if champion is None:
        raise ConfigError(f"{rt.name}: no model yet, so no labels to doubt")
    return champion


def _doubt(rt: Runtime, batch: str) -> Doubt:
    """Of a window that nothing was found wrong with."""
    record = rt.store.record(rt.name, batch)
    rows = rt.book.labelled_rows().get(batch, 0)
    if record is None or not rows:
        raise ConfigError(f"{rt.name}: batch {batch!r} has no labels")
    return Doubt(
        batch=batch,
        start=datetime.fromisoformat(record["window_start"]),
        end=datetime.fromisoformat(record["window_end"]),
        rows=rows,
        skill=None,
        spread=None,
        usual=None,
        revision=rt.book.revision(batch),
        standing=Standing.REJECTED,
        reason="",
    )


def _write(rt: Runtime, champion: Champion, trust: LabelTrust, changed: tuple[Doubt, ...]) -> tuple[Doubt, ...]:
    if not changed:
        return ()
    restating = Restating.begin(rt, champion, DetectorMemory.load(rt.kept, rt.name, champion.version))
    restating.doubted(trust, changed)
    write_restated(rt, restating, rt.latest or rt.clock(), by="operator")
    return changed


def _listed(trust: LabelTrust) -> str:
    return ", ".join(doubt.batch for doubt in trust.of(Standing.HELD)) or "none"
