"""Former champions, asked about the rows that are held out now: the best of them, and how it comes back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitor.adapters.exam import Contender, Exam
from monitor.adapters.model_code import explain, load_code, load_model
from monitor.adapters.training_rows import TrainingRows
from monitor.domain.selection.selection import Selection
from monitor.errors import MonitorError

_KEPT = ("code.py", "selection.py")  # beside the weights, where they are


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Earlier:
    """`fitted`: how many rows it was fitted on, and their origins."""

    version: int
    folder: Path
    classes: tuple[str, ...]
    rows: int
    fitted: frozenset[str]
    contender: Contender

    @property
    def name(self) -> str:
        return f"version {self.version}"

    def known(self, rows: TrainingRows) -> Selection:
        """Those of `rows` whose origins it was fitted on."""
        origins = np.array(rows.table.column("_origin").to_pylist())
        return Selection(np.flatnonzero(np.isin(origins, list(self.fitted))))

    def copy_to(self, staging: Path) -> None:
        """Weights and code, byte for byte."""
        shutil.copytree(self.folder / "weights", staging / "weights")
        for name in _KEPT:
            if (self.folder / name).exists():
                shutil.copyfile(self.folder / name, staging / name)


class EarlierVersions:
    """Of one attempt. `refused` says why one could not be asked, `asked` counts those that were."""

    def __init__(self, orders: Sequence[Mapping[str, Any]], trust: Sequence[str], *, private: bool) -> None:
        self.refused: dict[str, str] = {}
        self.asked = 0
        self._orders, self._trust, self._private = orders, trust, private

    def best(self, exam: Exam, need: tuple[str, ...], report: Callable[[str], None]) -> Earlier | None:
        """The one with the smallest loss, of those that know all classes of `need` and no row of the exam."""
        asked = set(exam.rows.table.column("_origin").to_pylist())
        found: list[Earlier] = []
        for order in self._orders:
            if asked.isdisjoint(order["fitted"]) and set(need) <= set(order["classes"]):
                report(f"version {order['version']}")
                self.asked += 1
                found += self._ask(order, exam)
        return min(found, key=lambda each: each.contender.choice_loss, default=None)

    def _ask(self, order: Mapping[str, Any], exam: Exam) -> list[Earlier]:
        folder, classes = Path(order["folder"]), tuple(order["classes"])
        try:
            model = load_model(load_code(folder / "code.py"), folder / "weights", self._trust)
            contender = exam.take(model, classes)
        except MonitorError as exc:
            self.refused[f"version {order['version']}"] = str(exc)
            return []
        except (Exception, SystemExit) as exc:
            self.refused[f"version {order['version']}"] = explain(exc, folder / "code.py", private=self._private)
            return []
        return [
            Earlier(
                version=order["version"],
                folder=folder,
                classes=classes,
                rows=order["rows"],
                fitted=frozenset(order["fitted"]),
                contender=contender,
            )
        ]
