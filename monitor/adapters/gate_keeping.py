"""What the gate asks of the best candidate, in the process that has both models at hand."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monitor.adapters.exam import Contender, Exam
from monitor.adapters.latency import shortest_seconds
from monitor.domain.checks.comparison import Comparison
from monitor.domain.checks.cost import NEGLIGIBLE_SECONDS, latency_holds, size_holds
from monitor.domain.checks.loss import not_inferior
from monitor.domain.checks.proof import proven, proven_per_segment
from monitor.domain.checks.quality import calibration_holds, metric_holds
from monitor.domain.checks.segments import per_segment
from monitor.domain.gate import Check, GateKind, GateRule

_TIMED_ROWS = 1000

Ask = Callable[[Callable[[], object]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateKeeper:
    """`comparable`: held-out rows that count, (n,). `candidates`: how many the best was chosen from.

    `anchor`: rows that no model is fitted on and none may forget, where there are any. `weights`: the champion's
    folder of weights; `scratch`: where a model may be saved for a moment. `ask` makes calls of user code, whose errors
    it explains.
    """

    rule: GateRule
    metric: str
    exam: Exam
    anchor: Exam | None
    comparable: npt.NDArray[np.bool_]
    candidates: int
    weights: Path
    scratch: Path
    ask: Ask

    def checks(self, best: Contender, champion: Contender, rng: np.random.Generator) -> Iterator[Check]:
        """The one on the loss first. A check without a limit is left out."""
        rule, seen = self.rule, self.exam.compare(best, champion).at(self.comparable)
        yield from self._of_loss(seen)
        if seen.rows:
            yield metric_holds(seen, self.metric, rule.margin, rng)
            if rule.max_calibration_increase is not None:
                yield from calibration_holds(seen, rule.max_calibration_increase, rng)
        if self.anchor is not None:
            yield self._of_anchor(self.anchor, best, champion)
        if set(best.classes) <= set(
            champion.classes
        ):  # of a model that tells fewer classes apart it would be no excess
            yield from self._of_cost(best, champion)

    def _of_loss(self, seen: Comparison) -> Iterator[Check]:
        rule = self.rule
        if rule.kind is GateKind.STRICT:
            yield proven(seen, rule.margin, candidates=self.candidates)
            if rule.segments:
                yield from proven_per_segment(seen, rule.margin)
            return
        yield not_inferior(seen, rule.margin)
        if rule.segments:
            yield from per_segment(seen, rule.margin)

    def _of_anchor(self, anchor: Exam, best: Contender, champion: Contender) -> Check:
        now = anchor.take(best.model, best.classes)
        before = anchor.take(champion.model, champion.classes)
        return not_inferior(
            anchor.compare(now, before), self.rule.anchor_margin, name="anchor", where="loss on the anchor rows"
        )

    def _of_cost(self, best: Contender, champion: Contender) -> Iterator[Check]:
        if self.rule.max_latency_ratio is not None:
            yield self._of_latency(best, champion, self.rule.max_latency_ratio)
        if self.rule.max_size_ratio is not None:
            yield self._of_size(best, self.rule.max_size_ratio)

    def _of_latency(self, best: Contender, champion: Contender, ratio: float) -> Check:
        frame = self.exam.frame.head(_TIMED_ROWS)

        def slow(seconds: list[float]) -> bool:
            return seconds[0] > ratio * seconds[1] and seconds[0] - seconds[1] > NEGLIGIBLE_SECONDS

        calls = [lambda: best.model.predict(frame), lambda: champion.model.predict(frame)]
        seconds: list[float] = []
        self.ask(lambda: seconds.extend(shortest_seconds(calls, doubtful=slow)))
        return latency_holds(seconds[0], seconds[1], ratio, rows=len(frame))

    def _of_size(self, best: Contender, ratio: float) -> Check:
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            self.ask(lambda: best.model.save(Path(folder)))
            return size_holds(_bytes(Path(folder)), _bytes(self.weights), ratio)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
