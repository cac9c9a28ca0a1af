"""How the type of a shift is shown: one line, and on request what speaks for it and what is most responsible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from monitor.cli import output
from monitor.domain.shift_kind import ShiftKind

_STYLE = {ShiftKind.CONCEPT: "bold red", ShiftKind.UNDECIDED: "yellow"}
_MOST_ROWS = 10


def shift_line(shift: Mapping[str, Any]) -> Text:
    """`concept: the loss rose …`."""
    kind = ShiftKind(shift["kind"])
    return Text(kind.value, style=_STYLE.get(kind, "bold")).append(f"  {shift['reason']}", style="default not bold")


def shift_rows(shift: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Headings and text for a table of two columns."""
    batches, rows = output.count(shift["batches"], "batch"), output.count(shift["rows"], "row")
    yield "  compared", f"{rows} of {batches} with the model's held-out rows"
    yield "  inputs", _inputs(shift["evidence"])
    if shift["evidence"]["shares_p"] is not None:
        yield "  class shares", _shares(shift["evidence"])
    yield "  loss", _loss(shift["evidence"])
    if shift["features"]:
        yield "  features", ", ".join(f"{one['name']} {output.percent(one['share'])}" for one in shift["features"])
    if shift["segments"]:
        yield "  segments", "\n".join(_segment(one) for one in shift["segments"])
    if shift["most_unlike"]:
        yield "  rows", "\n".join(_row(one) for one in shift["most_unlike"][:_MOST_ROWS])


def _inputs(seen: Mapping[str, Any]) -> str:
    if seen["inputs_effect"] is None:
        return "too few rows to compare"
    return f"told apart with an area under the curve of {0.5 + seen['inputs_effect']:.2f} (p {seen['inputs_p']:.1g})"


def _shares(seen: Mapping[str, Any]) -> str:
    moved = f"p {seen['shares_p']:.1g} that they are as before"
    if seen["fit_effect"] is None:
        return f"{moved}; too few held-out rows to say whether they explain the inputs"
    return f"{moved}; held-out rows with these shares are told apart with {0.5 + seen['fit_effect']:.2f}"


def _loss(seen: Mapping[str, Any]) -> str:
    if seen["loss"] is None:
        return f"{output.count(seen['labelled'], 'row')} labelled, too few to tell"
    parts = [f"{output.number(seen['loss'])} on {output.count(seen['labelled'], 'labelled row')}"]
    parts.append(f"held out {output.number(seen['loss_before'])}")
    for name, what in (("by_inputs", "moved inputs"), ("by_shares", "class shares")):
        if seen[name] is not None:
            parts.append(f"{what} explain {output.number(seen[name])}")
    return "; ".join(parts)


def _segment(one: Mapping[str, Any]) -> str:
    part, rows = output.percent(one["responsible"]), output.percent(one["rows"])
    return f"{one['column']} = {one['value'] or 'missing'}: {part} of what tells them apart, {rows} of the rows"


def _row(one: Mapping[str, Any]) -> str:
    return f"{one['id']} of {one['batch']}: {one['ratio']:.3g} times as common as among the held-out rows"
