"""How `monitor labels held` looks."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from monitor.cli import output
from monitor.domain.label_trust import Doubt


def doubts_table(doubts: Sequence[Doubt]) -> Table:
    """One line per window; skill 0 is that of labels dealt out at random."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("batch", "window end", "labels", "rows", "skill", "usually", "why"):
        table.add_column(
            heading, no_wrap=heading != "why", justify="right" if heading in ("rows", "skill", "usually") else "left"
        )
    for doubt in doubts:
        table.add_row(
            doubt.batch,
            output.moment(doubt.end),
            output.verdict_text(doubt.standing.value),
            f"{doubt.rows:,}",
            output.number(doubt.skill, 2),
            output.number(doubt.usual, 2),
            doubt.reason,
        )
    return table
