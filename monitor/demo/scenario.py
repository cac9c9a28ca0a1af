"""What goes wrong at the scanner, and when. Only the feeder knows; the monitor is told nothing.

The model has learnt at a place where 1s and 7s are rare, from scans with much noise: what might be one of them it takes
for something else, and there that is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from monitor.demo.digits import Scanner

IN_ORDER: Final = Scanner()
USUAL: Final = (0.1175, 0.03, 0.1175, 0.1175, 0.1175, 0.1175, 0.1175, 0.03, 0.1175, 0.1175)  # shares of the digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """From batch number `first` on. `shares` of the digits 0..9 sum to 1."""

    first: int
    announcement: str
    scanner: Scanner = IN_ORDER
    shares: tuple[float, ...] = USUAL


PHASES: Final = (
    Phase(first=1, announcement="the scanner is in order, and 1s and 7s are rare, as ever"),
    Phase(
        first=7,
        announcement="from now on every third sheet shows a 1 and every third a 7; the scanner is still in order",
        shares=(0.04, 0.34, 0.04, 0.04, 0.04, 0.04, 0.04, 0.34, 0.04, 0.04),
    ),
    Phase(
        first=13,
        announcement="1s and 7s are rare again, but the scanner is damaged: turned by 20° and blurred",
        scanner=Scanner(rotation=20.0, blur=0.5, noise=20.0),
    ),
)


def phase_of(number: int) -> Phase:
    """Return the phase that batch `number`, counted from 1, belongs to; the last one never ends."""
    return next(phase for phase in reversed(PHASES) if phase.first <= number)
