"""What runs in the training child: fit the candidates, compare, and build the version when the gate lets it pass."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from monitor.adapters.child_channel import Channel
from monitor.adapters.features import to_features
from monitor.adapters.model_code import ModelCode, explain, load_code, load_model, predict
from monitor.adapters.training_rows import TrainingRows, read_snapshot, split
from monitor.domain.candidates import Pool, select
from monitor.domain.gate import GateRule, Judgement, Outcome, choose, judge
from monitor.domain.model import Model, Scores
from monitor.domain.model_reference import ModelReference
from monitor.domain.schema import LabelKind, Schema
from monitor.domain.selection.selection import Selection
from monitor.errors import ModelError, MonitorError
from monitor.stats.performance import absolute_error, log_loss, metric

_NICE = 5  # scoring goes first
_REPORT_SECONDS = 0.1  # at most that often
_REFIT_SHARE = 0.4  # of the time, roughly, for the progress bar

Report = Callable[[float, str], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """What a model says about the held-out rows. `losses` is per row."""

    classes: tuple[str, ...]
    scores: Scores
    losses: npt.NDArray[np.float64]
    metric: float


class Training:
    def __init__(self, order: Mapping[str, Any], report: Report) -> None:
        self._order, self._report = order, report
        self._schema = Schema.from_dict(order["schema"])
        self._code = load_code(Path(order["code"]))
        self._rows = read_snapshot(Path(order["snapshot"]), self._schema)
        self._older, self._held_out = split(self._rows, order["held_out"])
        self._champion_model: Model | None = None

    def run(self) -> dict[str, Any]:
        """The fields of `TrainingResult`, as JSON."""
        started = time.monotonic()
        champion = self._champion()
        contenders = self._candidates()
        losses = {name: float(each.losses.mean()) for name, each in contenders.items()}
        chosen, record = choose(losses, self._order["record"])
        best = contenders[chosen]
        judgement = self._judge(champion, best)
        metrics = {name: each.metric for name, each in contenders.items()}
        if champion is not None:
            losses["champion"], metrics["champion"] = float(champion.losses.mean()), champion.metric
        fitted, classes = self._selected(self._older, chosen), best.classes
        if judgement.outcome is Outcome.PROMOTE:
            fitted = self._selected(self._rows, chosen)
            classes = self._build(fitted, best)
        return {
            "outcome": judgement.outcome.value,
            "reason": judgement.reason,
            "chosen": chosen,
            "classes": classes,
            "losses": losses,
            "metrics": metrics,
            "record": record,
            "rows": len(fitted),
            "held_out": len(self._held_out),
            "seconds": time.monotonic() - started,
            "extra": {"code_hash": self._code.hash, **fitted.lineage()},
        }

    def _champion(self) -> Contender | None:
        order = self._order["champion"]
        if order is None:
            return None
        folder = Path(order["folder"])
        file = folder / "code.py"
        code = load_code(file)
        if code.hash == self._code.hash:
            code = self._code
        try:
            model = load_model(code, folder / "weights", self._order["trust"])
            contender = self._score(model, tuple(order["classes"]))
        except Exception as exc:
            raise _explained(exc, code) from exc
        self._champion_model = model if code is self._code else None
        return contender

    def _candidates(self) -> dict[str, Contender]:
        """By name, in the order asked for; two selections of the same rows and weights are fitted once."""
        by_rows: dict[bytes, Contender] = {}
        contenders: dict[str, Contender] = {}
        names: Sequence[str] = self._order["candidates"]
        for i, name in enumerate(names):
            selection = self._selection(self._older, name)
            if selection.digest not in by_rows:
                rows, share = self._older.of(selection), (1 - _REFIT_SHARE) / len(names)
                model = self._fit(rows, f"candidate {name}", start=i * share, share=share)
                by_rows[selection.digest] = self._call(partial(self._score, model, rows.classes()))
            contenders[name] = by_rows[selection.digest]
        return contenders

    def _selection(self, rows: TrainingRows, name: str) -> Selection:
        return select(name, Pool(n=len(rows), window_rows=self._order["window_rows"]))

    def _selected(self, rows: TrainingRows, name: str) -> TrainingRows:
        return rows.of(self._selection(rows, name))

    def _fit(self, rows: TrainingRows, what: str, *, start: float, share: float) -> Model:
        def report(done: float, word: str) -> None:
            self._report(start + share * min(max(float(done), 0.0), 1.0), f"{what}: {word}")

        report(0.0, f"{len(rows)} rows")
        data, rng = rows.data(), np.random.default_rng(self._order["seed"])
        return self._call(
            lambda: self._code.model.fit(
                data, init=self._champion_model, config=self._order["params"], rng=rng, progress=report
            )
        )

    def _score(self, model: Model, classes: tuple[str, ...]) -> Contender:
        held_out = self._held_out
        scores = predict(model, to_features(held_out.table, self._schema), classes)
        target = held_out.target(classes)
        losses = log_loss(scores, target) if classes else absolute_error(scores, target)
        value = metric(self._order["metric"], scores, target, positive=self._positive(classes))
        return Contender(classes, scores, losses, float(value))

    def _judge(self, champion: Contender | None, best: Contender) -> Judgement:
        """On the held-out rows that the champion was not fitted on."""
        unseen = ~self._held_out.fitted_by_champion()
        enough = bool(unseen.any())
        return judge(
            GateRule(**self._order["gate"]),
            champion=None if champion is None else float(champion.losses[unseen].mean()) if enough else 0.0,
            candidate=float(best.losses[unseen].mean()) if enough else 0.0,
            rows=int(unseen.sum()),
        )

    def _build(self, rows: TrainingRows, best: Contender) -> tuple[str, ...]:
        """Fit again with the held-out rows and write the version's files; returns its classes.

        The reference's predictions and losses are those of the model before the refit: of rows it had not seen.
        """
        model = self._fit(rows, "refit with the held-out rows", start=1 - _REFIT_SHARE, share=_REFIT_SHARE)
        classes = rows.classes()
        staging = Path(self._order["staging"])
        weights = staging / "weights"
        weights.mkdir(parents=True)
        self._call(lambda: model.save(weights))
        (staging / "code.py").write_bytes(self._code.source)
        reference = ModelReference.fit(
            rows.table.select(list(self._schema.features)),
            self._schema,
            held_out_scores=_aligned(best.scores, best.classes, classes),
            held_out_target=self._held_out.target(classes),
            classes=classes,
            metric=self._order["metric"],
            positive=self._positive(classes),
            times=rows.times(),
        )
        (staging / "reference.safetensors").write_bytes(reference.to_bytes())
        self._report(1.0, "version built")
        return classes

    def _positive(self, classes: Sequence[str]) -> int | None:
        """Index of the positive class of a binary label: the named one, else the last."""
        label = self._schema.label
        if label is None or label.kind is not LabelKind.BINARY:
            return None
        if label.positive is None:
            return len(classes) - 1
        return classes.index(label.positive) if label.positive in classes else None

    def _call(self, user_code: Callable[[], _T]) -> _T:
        try:
            return user_code()
        except (Exception, SystemExit) as exc:
            raise _explained(exc, self._code) from exc


def _aligned(scores: Scores, classes: Sequence[str], wanted: Sequence[str]) -> Scores:
    """The columns of `wanted`, of which the model may lack some or know more; rows sum to 1 again."""
    if tuple(classes) == tuple(wanted):
        return scores
    aligned = np.zeros((len(scores), len(wanted)))
    for column, name in enumerate(wanted):
        if name in classes:
            aligned[:, column] = scores[:, list(classes).index(name)]
    sums = aligned.sum(axis=1, keepdims=True)
    return np.where(sums > 0, aligned / np.where(sums > 0, sums, 1.0), 1.0 / len(wanted))


def _explained(exc: BaseException, code: ModelCode) -> MonitorError:
    return exc if isinstance(exc, MonitorError) else ModelError(explain(exc, code.path))


def main() -> None:
    channel = Channel()
    first = channel.receive()
    if first is None:
        return
    os.nice(_NICE)
    reported = -_REPORT_SECONDS

    def report(done: float, word: str) -> None:
        nonlocal reported
        if time.monotonic() - reported >= _REPORT_SECONDS:
            reported = time.monotonic()
            channel.send({"progress": [done, word]})

    try:
        channel.send(Training(first[0], report).run())
    except MonitorError as exc:
        channel.send({"error": type(exc).__name__, "text": str(exc)})


if __name__ == "__main__":
    main()
