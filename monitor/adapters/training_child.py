"""What runs in the training child: fit the candidates, compare, and build the version when the gate lets it pass."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from monitor.adapters.candidates import Candidates
from monitor.adapters.child_channel import Channel
from monitor.adapters.cross_validation import cross_validated
from monitor.adapters.earlier_versions import Earlier, EarlierVersions, earlier_name
from monitor.adapters.exam import Contender, Exam, aligned, positive_class
from monitor.adapters.gate_keeping import GateKeeper
from monitor.adapters.leakage import check_leakage
from monitor.adapters.model_code import ModelCode, explain, load_code, load_model
from monitor.adapters.training_rows import TrainingRows, comparable, read_snapshot, split
from monitor.domain.checks.comparison import Answers
from monitor.domain.choice import choose, is_right_again
from monitor.domain.gate import Check, GateKind, GateRule, Judgement, Outcome, conclude
from monitor.domain.model import Model
from monitor.domain.model_reference import ModelReference
from monitor.domain.schema import Schema
from monitor.domain.selection.selection import Selection
from monitor.errors import DataError, ModelError, MonitorError

_NICE = 5  # scoring goes first
_REPORT_SECONDS = 0.1  # at most that often
_REFIT_SHARE = 0.4  # of the time, roughly, for the progress bar

Report = Callable[[float, str], None]
_T = TypeVar("_T")


class Training:
    def __init__(self, order: Mapping[str, Any], report: Report) -> None:
        self._order, self._report = order, report
        self._schema = Schema.from_dict(order["schema"])
        self._code = load_code(Path(order["code"]))
        snapshot = read_snapshot(Path(order["snapshot"]), self._schema)
        self._rows, anchor = snapshot.without_anchor()
        self._older, self._held_out = split(self._rows, order["held_out"])
        self._exam = Exam(self._held_out, order["metric"])
        self._anchor = Exam(anchor, order["metric"]) if len(anchor) else None
        self._candidates = Candidates(order)
        self._earlier = EarlierVersions(order["earlier"])
        self._rule = GateRule.from_dict(order["gate"])
        self._champion_model: Model | None = None
        self._done = 0.0

    def run(self) -> dict[str, Any]:
        """The fields of `TrainingResult`, as JSON."""
        started = time.monotonic()
        leakage = check_leakage(self._older, self._held_out)
        champion = self._champion()
        contenders, facts = self._contenders()
        asked = len({id(each) for each in contenders.values()})
        chosen, record = choose({name: each.choice_loss for name, each in contenders.items()}, self._order["record"])
        returning = None
        if (earlier := self._best_of_earlier(champion)) is not None:
            contenders[earlier.name], facts[earlier.name] = earlier.contender, {"rows": earlier.rows}
            asked += self._earlier.asked
            if is_right_again(earlier.contender.choice_loss, contenders[chosen].choice_loss):
                chosen, returning = earlier.name, earlier
        best = contenders[chosen]
        judgement = self._judge(champion, best, leakage, asked)
        promoted = judgement.outcome is Outcome.PROMOTE
        became = self._of_earlier(returning, promoted) if returning else self._of_candidate(chosen, best, promoted)
        if champion is not None:
            contenders["champion"] = champion
        return {
            "outcome": judgement.outcome.value,
            "reason": judgement.reason,
            "chosen": chosen,
            "returning": returning and returning.version,
            "losses": {name: each.loss for name, each in contenders.items()},
            "metrics": {name: each.metric.value for name, each in contenders.items()},
            "intervals": {name: [each.metric.low, each.metric.high] for name, each in contenders.items()},
            "record": {**self._record_of_refused(), **record},
            "facts": facts,
            "refused": {**self._candidates.refused, **self._earlier.refused},
            "checks": [check.to_dict() for check in judgement.checks],
            "held_out": len(self._held_out),
            "seconds": time.monotonic() - started,
            **became,
        }

    def _champion(self) -> Contender | None:
        order = self._order["champion"]
        if order is None:
            return None
        model, contender, code_hash = self._examined(order)
        self._champion_model = model if code_hash == self._code.hash else None
        return contender

    def _examined(self, version: Mapping[str, Any]) -> tuple[Model, Contender, str]:
        """A version's model, its answers about the held-out rows, and the hash of its code. Raises MonitorError."""
        folder = Path(version["folder"])
        code = load_code(folder / "code.py")
        if code.hash == self._code.hash:
            code = self._code
        try:
            model = load_model(code, folder / "weights", self._order["trust"])
            return model, self._exam.take(model, tuple(version["classes"])), code.hash
        except (Exception, SystemExit) as exc:
            raise _explained(exc, code, self._schema) from exc

    def _contenders(self) -> tuple[dict[str, Contender], dict[str, dict[str, float]]]:
        """By name, in the order asked for, with numbers about their rows; those that cannot be made are left out.

        Two selections of the same rows and weights are fitted once. Raises DataError when no candidate is left.
        """
        made: dict[bytes, Contender] = {}
        contenders: dict[str, Contender] = {}
        facts: dict[str, dict[str, float]] = {}
        names: Sequence[str] = self._order["candidates"]
        for i, name in enumerate(names):
            selection = self._candidates.try_select(name, self._older, self._cross_validated)
            if selection is None:
                continue
            if selection.digest not in made:
                rows, share = self._older.of(selection), (1 - _REFIT_SHARE) / len(names)
                model = self._fit(rows, f"candidate {name}", start=i * share, share=share)
                made[selection.digest] = self._call(partial(self._exam.take, model, rows.classes()))
            contenders[name] = made[selection.digest]
            facts[name] = {"rows": len(selection.rows), **selection.facts}
        if not contenders:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self._candidates.refused.items())
            raise DataError(f"no candidate could be trained: {reasons}")
        return contenders, facts

    def _selection(self, rows: TrainingRows, name: str) -> Selection:
        return self._candidates.select(name, rows, self._cross_validated)

    def _record_of_refused(self) -> dict[str, float]:
        """What is known of candidates that could not be made this time."""
        return {name: loss for name, loss in self._order["record"].items() if name in self._candidates.refused}

    def _cross_validated(self, rows: TrainingRows) -> Answers:
        """What models that have not seen a row say about it."""
        return cross_validated(rows, partial(self._fit, what="cross-validation", start=0.0, share=0.0), self._call)

    def _fit(self, rows: TrainingRows, what: str, *, start: float, share: float) -> Model:
        def report(done: float, word: str) -> None:
            self._done = max(self._done, start + share * min(max(float(done), 0.0), 1.0))
            self._report(self._done, f"{what}: {word}")

        report(0.0, f"{len(rows)} rows")
        data, rng = rows.data(), np.random.default_rng(self._order["seed"])
        return self._call(
            lambda: self._code.model.fit(
                data, init=self._champion_model, config=self._order["params"], rng=rng, progress=report
            )
        )

    def _judge(self, champion: Contender | None, best: Contender, leakage: Check, candidates: int) -> Judgement:
        rule = self._rule
        if champion is None:
            return conclude(rule, ())
        self._report(1 - _REFIT_SHARE, "the gate")
        keeper = GateKeeper(
            rule=rule,
            metric=self._order["metric"],
            exam=self._exam,
            anchor=self._anchor,
            comparable=comparable(self._older, self._held_out, strict=rule.kind is GateKind.STRICT),
            candidates=candidates,
            weights=Path(self._order["champion"]["folder"]) / "weights",
            scratch=Path(self._order["snapshot"]).parent,
            ask=self._call,
        )
        rng = np.random.default_rng(self._order["seed"])
        return conclude(rule, (*keeper.checks(best, champion, rng), leakage))

    def _best_of_earlier(self, champion: Contender | None) -> Earlier | None:
        """None without a champion, and when none of them can be compared on these rows."""
        if champion is None:
            return None
        need = (*champion.classes, *self._held_out.classes())
        origins = set(self._held_out.table.column("_origin").to_pylist())
        return self._earlier.best(origins, need, self._asked)

    def _asked(self, version: Mapping[str, Any]) -> Contender:
        self._report(self._done, earlier_name(version["version"]))
        return self._examined(version)[1]

    def _of_candidate(self, chosen: str, best: Contender, promoted: bool) -> dict[str, Any]:
        """Its rows and classes; when promoted, after the refit, with the version's files written."""
        rows, classes = self._older.of(self._selection(self._older, chosen)), best.classes
        if promoted:
            rows, classes = self._build(chosen, best)
        return {
            "classes": classes,
            "rows": len(rows),
            "extra": {"code_hash": self._code.hash, **rows.lineage()},
        }

    def _build(self, chosen: str, best: Contender) -> tuple[TrainingRows, tuple[str, ...]]:
        """Fit again with the held-out rows and write the version's files; returns the rows and the classes."""
        selection = self._selection(self._rows, chosen)
        rows = self._rows.of(selection)
        model = self._fit(rows, "refit with the held-out rows", start=1 - _REFIT_SHARE, share=_REFIT_SHARE)
        classes = rows.classes()
        staging = Path(self._order["staging"])
        weights = staging / "weights"
        weights.mkdir(parents=True)
        self._call(lambda: model.save(weights))
        (staging / "code.py").write_bytes(self._code.source)
        if (source := self._candidates.source(chosen)) is not None:
            (staging / "selection.py").write_bytes(source)
        self._write_reference(selection, best, classes)
        return rows, classes

    def _of_earlier(self, returning: Earlier, promoted: bool) -> dict[str, Any]:
        """As it was; when promoted, with a reference of what it knows and of the rows that it was chosen on."""
        if promoted:
            staging = Path(self._order["staging"])
            staging.mkdir(parents=True)
            returning.copy_to(staging)
            self._write_reference(returning.known(self._rows), returning.contender, returning.classes)
        return {
            "classes": returning.classes,
            "rows": returning.rows,
            "extra": {"chosen_on": self._held_out.lineage()["origins"]},
        }

    def _write_reference(self, fitted: Selection, best: Contender, classes: tuple[str, ...]) -> None:
        """Its predictions and losses are those of a model that had not seen the held-out rows."""
        held_out = np.arange(len(self._older), len(self._rows))
        known = self._rows.of(Selection(np.union1d(fitted.rows, held_out)))  # they must be the last of these rows
        reference = ModelReference.fit(
            known.table.select(list(self._schema.features)),
            self._schema,
            held_out_scores=aligned(best.answers.scores, best.classes, classes),
            held_out_target=self._held_out.target(classes),
            classes=classes,
            metric=self._order["metric"],
            positive=positive_class(self._schema, classes),
            times=known.times(),
        )
        (Path(self._order["staging"]) / "reference.safetensors").write_bytes(reference.to_bytes())
        self._report(1.0, "version built")

    def _call(self, user_code: Callable[[], _T]) -> _T:
        try:
            return user_code()
        except (Exception, SystemExit) as exc:
            raise _explained(exc, self._code, self._schema) from exc


def _explained(exc: BaseException, code: ModelCode, schema: Schema) -> MonitorError:
    if isinstance(exc, MonitorError):
        return exc
    return ModelError(explain(exc, code.path, private=bool(schema.private)))


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
