"""A judged batch as one line, and many as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from monitor.cli import output

_MARKS = {"ok": "✓", "drift": "✗", "bad_data": "!", "insufficient_data": "·"}
HEADINGS = {"inputs": "in", "predictions": "pred", "labels": "labels", "performance": "perf"}
LEGEND = "✓ ok  ✗ drift  ! bad data  · insufficient data; in: inputs, pred: predictions, perf: performance"
_PLACES = {"champion": "", "shadow": " in shadow", "waiting": " waits for a person"}
_WORST_FIRST = ("bad_data", "drift", "ok")


def batch_line(record: Mapping[str, Any], *, name_deployment: bool) -> Text:
    """For a terminal that scrolls: when, which, how many rows, what was seen, what was decided."""
    named = f"{record['deployment']}  " if name_deployment else ""
    line = Text(f"{output.moment(datetime.fromisoformat(record['window_end']))}  {named}{record['batch']}  ")
    line.append(output.count(record["rows"], "row"))
    if record["quarantined"]:
        line.append(f" (+{record['quarantined']:,} quarantined)", style="yellow")
    return line.append("  ").append_text(_seen(record["verdicts"])).append("  ").append_text(_decision(record))


def _seen(verdicts: Mapping[str, Mapping[str, Any]]) -> Text:
    """The worst verdict with its channels; bad data with the reason, which is the same on all of them."""
    for verdict in _WORST_FIRST:
        channels = [channel for channel, seen in verdicts.items() if seen["verdict"] == verdict]
        if channels:
            said = {"ok": "", "bad_data": f": {verdicts[channels[0]]['reason']}"}.get(
                verdict, f" {', '.join(channels)}"
            )
            return output.verdict_text(verdict).append(said, style="default not bold")
    reasons = [seen["reason"] for seen in verdicts.values()]
    return output.verdict_text("insufficient_data").append(f": {reasons[0]}" if reasons else "", style="default")


def _decision(record: Mapping[str, Any]) -> Text:
    return output.verdict_text(record["decision"])


def attempt_line(attempt: Mapping[str, Any]) -> Text:
    """What came of an attempt to retrain, and why."""
    line = output.verdict_text(attempt["outcome"])
    version = "" if attempt["version"] is None else f", version {attempt['version']}{_PLACES[attempt['place']]}"
    chosen = f"{attempt['chosen']}{version}: " if attempt["chosen"] else ""
    return line.append(f"  {chosen}{attempt['reason']}", style="default not bold")


def conclusion_line(conclusion: Mapping[str, Any]) -> Text:
    """What came of a trial: a promoted version beside its predecessor, or a candidate in shadow."""
    line = output.verdict_text(conclusion["finding"])
    return line.append(f"  version {conclusion['version']}: {conclusion['reason']}", style="default not bold")


def mark(verdict: str | None) -> Text:
    """One character for a table's cell; blank when the channel is not watched."""
    if verdict is None:
        return Text("")
    return Text(_MARKS[verdict], style=output.verdict_text(verdict).style)


def history_page(records: Sequence[Mapping[str, Any]], metric: str) -> Group:
    """The table, and below it why batches could not be used: that is what somebody looks for first."""
    return Group(_history_table(records, metric), *_bad_data(records))


def _bad_data(records: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """A line for each batch that could not be used; the reason is the same on all its channels."""
    for record in records:
        bad = [seen["reason"] for seen in record["verdicts"].values() if seen["verdict"] == "bad_data"]
        if bad:
            line = Text("! ", style=output.verdict_text("bad_data").style)
            yield line.append(f"{record['batch']}: {bad[0]}", style="default not bold")


def _history_table(records: Sequence[Mapping[str, Any]], metric: str) -> Table:
    """Oldest first, as the history goes; the legend says what the marks mean."""
    several_years = len({record["window_end"][:4] for record in records}) > 1
    quarantined = any(record["quarantined"] for record in records)
    shifted = any(record["shift"] for record in records)
    table = Table(box=None, pad_edge=False, header_style="dim", caption_justify="left", padding=(0, 1, 0, 0))
    table.add_column("window end", no_wrap=True)
    table.add_column("batch", overflow="ellipsis", no_wrap=True, min_width=8)
    table.add_column("rows", justify="right", no_wrap=True)
    if quarantined:
        table.add_column("bad", justify="right", no_wrap=True)
    table.add_column("v", justify="right", no_wrap=True)
    for heading in HEADINGS.values():
        table.add_column(heading, justify="center", no_wrap=True)
    table.add_column(metric, justify="right", no_wrap=True)
    table.add_column("labelled", justify="right", no_wrap=True)
    if shifted:
        table.add_column("shift", no_wrap=True)
    table.add_column("decision", no_wrap=True)
    for record in records:
        at = output.moment(datetime.fromisoformat(record["window_end"]))
        bad = [f"{record['quarantined']:,}" if record["quarantined"] else ""] if quarantined else []
        rows = f"{record['rows']:,}"
        shift = [record["shift"]["kind"] if record["shift"] else ""] if shifted else []
        cells = (*bad, *_cells(record), *shift, _decision(record))
        table.add_row(at if several_years else at[5:], record["batch"], rows, *cells)
    table.caption = f"{LEGEND}; ≈ estimated, no labels yet"
    return table


def _measured(performance: Mapping[str, Any]) -> str:
    """The realised metric, and the estimate as long as no label has come."""
    if performance["realised"] is None and performance["estimated"] is not None:
        return f"≈{output.number(performance['estimated'])}"
    return output.number(performance["realised"])


def _cells(record: Mapping[str, Any]) -> tuple[Text | str, ...]:
    verdicts, performance = record["verdicts"], record["performance"]
    return (
        "" if record["model_version"] is None else str(record["model_version"]),
        *(mark(verdicts[channel]["verdict"] if channel in verdicts else None) for channel in HEADINGS),
        _measured(performance),
        output.percent(performance["labels_coverage"]) if performance["labels_coverage"] else "",
    )
