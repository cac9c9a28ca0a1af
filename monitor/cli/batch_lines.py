"""A judged batch as one line, and many as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from monitor.cli import output

_MARKS = {"ok": "✓", "drift": "✗", "bad_data": "!", "insufficient_data": "·"}
_CHANNELS = ("inputs", "predictions", "labels", "performance")


def batch_line(record: Mapping[str, Any]) -> Text:
    """For a terminal that scrolls: when, which, how many rows, what was seen, what was decided."""
    line = Text(f"{output.moment(datetime.fromisoformat(record['window_end']))}  {record['batch']}  ")
    line.append(f"{output.count(record['rows'], 'row')}")
    if record["quarantined"]:
        line.append(f" (+{record['quarantined']} quarantined)", style="yellow")
    line.append("  ")
    for channel, verdict in record["verdicts"].items():
        if verdict["verdict"] != "insufficient_data":
            line.append(f"{channel} ").append_text(output.styled(verdict["verdict"])).append("  ")
    line.append_text(output.styled(record["decision"]))
    return line


def attempt_line(attempt: Mapping[str, Any]) -> Text:
    """What came of an attempt to retrain, and why."""
    line = output.styled(attempt["outcome"])
    version = f" as version {attempt['version']}" if attempt["version"] is not None else ""
    chosen = f"{attempt['chosen']}{version}: " if attempt["chosen"] else ""
    return line.append(f"  {chosen}{attempt['reason']}", style="default not bold")


def mark(verdict: str | None) -> Text:
    """One character for a table's cell; blank when the channel is not watched."""
    if verdict is None:
        return Text("")
    text = output.styled(verdict)
    return Text(_MARKS[verdict], style=text.style)


def history_table(records: Sequence[Mapping[str, Any]], metric: str) -> Table:
    """Oldest first, as the history goes; the legend says what the marks mean."""
    table = Table(box=None, pad_edge=False, header_style="dim", caption_justify="left", padding=(0, 1, 0, 0))
    table.add_column("window end", no_wrap=True)
    table.add_column("batch", overflow="ellipsis", no_wrap=True, min_width=8)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("bad", justify="right", no_wrap=True)
    table.add_column("v", justify="right", no_wrap=True)
    for channel in _CHANNELS:
        table.add_column(channel[:4], justify="center", no_wrap=True)
    table.add_column(metric, justify="right", no_wrap=True)
    table.add_column("labels", justify="right", no_wrap=True)
    table.add_column("decision", no_wrap=True)
    for record in records:
        table.add_row(*_cells(record))
    table.caption = "✓ ok  ✗ drift  ! bad data  · insufficient data;  inpu-ts, pred-ictions, labe-ls, perf-ormance"
    return table


def _cells(record: Mapping[str, Any]) -> tuple[Text | str, ...]:
    verdicts, performance = record["verdicts"], record["performance"]
    return (
        output.moment(datetime.fromisoformat(record["window_end"])),
        record["batch"],
        f"{record['rows']:,}",
        f"{record['quarantined']:,}" if record["quarantined"] else "",
        "" if record["model_version"] is None else str(record["model_version"]),
        *(mark(verdicts[channel]["verdict"] if channel in verdicts else None) for channel in _CHANNELS),
        output.number(performance["realised"]),
        output.percent(performance["labels_coverage"]) if performance["labels_coverage"] else "",
        output.styled(record["decision"]),
    )
