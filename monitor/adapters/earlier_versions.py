"""Former champions, asked about the rows that are held out now: the best of them, and how it comes back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitor.adapters.exam import Contender
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
        return earlier_name(self.version)

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

    def __init__(self, orders: Sequence[Mapping[str, Any]]) -> None:
        self.refused: dict[str, str] = {}
        self.asked = 0
        self._orders = orders

    def best(
        self, held_out: Set[str], need: tuple[str, ...], ask: Callable[[Mapping[str, Any]], Contender]
    ) -> Earlier | None:
        """The one with the smallest loss, of those that know all classes of `need` and no row of the batches held out.

        `ask` takes the order of a version; one for which it raises MonitorError is left out.
        """
        found: list[Earlier] = []
        for order in self._orders:
            if held_out.isdisjoint(order["fitted"]) and set(need) <= set(order["classes"]):
                self.asked += 1
                try:
                    found.append(_earlier(order, ask(order)))
                except MonitorError as exc:
                    self.refused[earlier_name(order["version"])] = str(exc)
        return min(found, key=lambda each: each.contender.choice_loss, default=None)


def earlier_name(version: int) -> str:
    """Among the candidates' names."""
    return f"version {version}"


def _earlier(order: Mapping[str, Any], contender: Contender) -> Earlier:
    return Earlier(
        version=order["version"],
        folder=Path(order["folder"]),
        classes=tuple(order["classes"]),
        rows=order["rows"],
        fitted=frozenset(order["fitted"]),
        contender=contender,
    )
