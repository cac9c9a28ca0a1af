"""How `monitor status` looks: a block per deployment, or a line each when there are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.app.standard_status import MissedStandard
from monitor.app.status import LOST, RUNNING, ChannelStatus, DeploymentStatus, LastBatch, PerformanceStatus
from monitor.cli import output
from monitor.cli.batch_lines import HEADINGS, LEGEND, mark
from monitor.cli.shift_view import shift_line, shift_rows
from monitor.cli.trial_view import beside_rows
from monitor.domain.policy import Decision
from monitor.domain.verdict import Channel, Verdict

ASSUMED = {
    None: "",
    "no_shift": "nothing has moved for sure",
    "covariate_shift": "the inputs have moved, labels at given inputs taken to be as before",
    "label_shift": "the class shares have moved, inputs of each class taken to be as before",
    "undecided": "inputs or class shares have moved, the interval covers both",
    "confidence": "rows that the model is as sure of taken to be as often right",
}
_MISFIT = 0.001  # p-value of the calibration that is worth a word
_MOST_COLUMNS = 5
_WHOLE = 10  # from here on evidence is shown without a fraction
_SHORT = timedelta(minutes=10)  # shorter windows are shown to the second


def status_block(status: DeploymentStatus, *, explain: bool = False) -> RenderableType:
    """Two columns, what and how it stands; long text wraps within its own column. `explain`: also why."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    if status.last is None:
        table.add_row("last batch", "none yet")
    else:
        table.add_row("last batch", _batch(status.last))
        for channel, seen in status.last.channels.items():
            table.add_row(f"  {channel.value}", _channel(seen, status.last.batch))
        table.add_row("alarms", _alarms(status.last, status.false_alarms))
        for what, told in _shift(status.last, explain=explain):
            table.add_row(what, told)
    table.add_row(status.performance.metric.replace("_", " "), _performance(status.performance))
    if status.missed_standard is not None:
        table.add_row("standard", _standard(status.missed_standard))
    table.add_row("estimated", _estimated(status.performance))
    table.add_row("model", _model(status))
    table.add_row("labels", _labels(status))
    if status.last_attempt is not None:
        table.add_row("last attempt", _attempt(status))
    for row in beside_rows(status.beside, status.deployment):
        table.add_row(*row)
    table.add_row("next", _next(status))
    heading = Text(status.deployment, style="bold").append(
        f"  {output.count(status.batches, 'batch')} judged", style="not bold dim"
    )
    return Group(heading, Padding(table, (0, 0, 0, 2)))


def overview(found: Sequence[DeploymentStatus]) -> Table:
    """One line per deployment; `monitor status NAME` shows more."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("deployment", no_wrap=True, overflow="ellipsis", min_width=10)
    table.add_column("last batch", no_wrap=True, overflow="ellipsis")
    table.add_column("age", no_wrap=True, justify="right")
    for heading in HEADINGS.values():
        table.add_column(heading, no_wrap=True, justify="center")
    table.add_column("performance", no_wrap=True, justify="right")
    table.add_column("model", no_wrap=True, justify="right")
    table.add_column("decision", no_wrap=True)
    for status in found:
        table.add_row(*_line(status))
    table.caption = LEGEND
    table.caption_justify = "left"
    return table


def _line(status: DeploymentStatus) -> tuple[Text | str, ...]:
    last, performance = status.last, status.performance
    channels = last.channels if last else {}
    return (
        status.deployment,
        last.batch if last else "none yet",
        output.age(last.age) if last else "",
        *(mark(channels[channel].verdict.value if channel in channels else None) for channel in Channel),
        f"{performance.metric} {output.number(performance.realised)}",
        f"v{status.model.version}" if status.model else "none",
        Text("passes fail", style="bold red") if status.failing else output.verdict_text(status.decision or ""),
    )


def _batch(last: LastBatch) -> Text:
    text = Text(last.batch, style="bold")
    text.append(f"  {output.count(last.rows, 'row')}", style="not bold")
    if last.quarantined:
        text.append(f", {last.quarantined:,} quarantined", style="not bold yellow")
    text.append(f"\nwindow {_window(last)} UTC, {output.ago(last.age)}", style="not bold dim")
    return text


def _window(last: LastBatch) -> str:
    seconds = last.window_end - last.window_start < _SHORT
    start, end = (output.moment(at, seconds=seconds) for at in (last.window_start, last.window_end))
    return f"{start} – {end[11:] if end[:10] == start[:10] else end}"


def _channel(seen: ChannelStatus, last_batch: str) -> Text:
    text = output.verdict_text(seen.verdict)
    if seen.acknowledged:
        text.append("  acknowledged: ok from the next batch on", style="default not bold")
    parts = [_evidence(seen)] if seen.evidence is not None and seen.threshold is not None else []
    if seen.verdict is not Verdict.OK and not seen.reason.startswith("evidence "):
        parts.append(seen.reason)
    if parts:
        text.append(f"  {'; '.join(parts)}", style="default not bold")
    if seen.columns:
        text.append(f"  ({_listed(seen.columns)})", style="not bold dim")
    if seen.batch != last_batch:
        text.append(f"  on {seen.batch}", style="not bold dim")
    if seen.beyond:
        text.append(f"\nfar from training: {_listed(seen.beyond)}", style="not bold yellow")
    if seen.incidents:
        text.append(f"\nout of line on this batch alone: {_listed(seen.incidents)}", style="not bold yellow")
    return text


def _shift(last: LastBatch, *, explain: bool) -> Iterator[tuple[str, Text | str]]:
    if last.shift is not None:
        yield "shift", shift_line(last.shift)
        yield from shift_rows(last.shift) if explain else ()
    elif explain:
        yield "shift", "no alarm stands, so there is nothing to explain"


def _evidence(seen: ChannelStatus) -> str:
    """`evidence 12 of 365`: drift needs all of it."""
    return f"evidence {_amount(seen.evidence or 0.0)} of {_amount(seen.threshold or 0.0)}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.2g}"


def _listed(columns: Sequence[str]) -> str:
    rest = len(columns) - _MOST_COLUMNS
    return ", ".join(columns[:_MOST_COLUMNS]) + (f" and {rest} more" if rest > 0 else "")


def _alarms(last: LastBatch, promised: str | None) -> str:
    """The achieved rate beside the promised one."""
    counted = [(c, seen) for c, seen in last.channels.items() if seen.judged]
    if not counted:
        return "no batch was judged yet"
    most = max(seen.judged or 0 for _, seen in counted)
    parts = [
        f"{channel.value} {seen.alarms:,}" + (f" (of {seen.judged:,})" if seen.judged != most else "")
        for channel, seen in counted
    ]
    text = f"{', '.join(parts)} in {output.count(most, 'judged batch')}"
    return text if promised is None else f"{text}; promised without cause: at most {promised} and channel"


def _performance(known: PerformanceStatus) -> Text:
    text = Text()
    if known.realised is None:
        text.append("no window with enough labels yet", style="dim")
    else:
        text.append(output.number(known.realised), style="bold")
        if known.low is not None and known.high is not None:
            text.append(f" ({output.number(known.low)} to {output.number(known.high)})")
        text.append(f" on {known.batch}, labels of {output.percent(known.labels_coverage or 0.0)} of its rows")
    if known.control is not None:
        metric = output.number(known.control["control"]["metric"])
        text.append(f"; control rows {metric} ({output.count(known.control['control']['rows'], 'row')})", style="dim")
        if known.control["parted"]:
            text.append(", and their labels differ from those of served rows", style="yellow")
    if known.selected_by:
        others = f"rows with a label differ from the others by {', '.join(known.selected_by)}"
        text.append(f"; weighted for all {output.number(known.weighted)}: {others}", style="yellow")
    if known.calibration_p_value is not None and known.calibration_p_value < _MISFIT:
        text.append("; its labels do not fit the calibration, on which estimates rest", style="yellow")
    for word, value in [("held out", known.held_out), ("floor", known.floor)]:
        if value is not None:
            text.append(f"; {word} {output.number(value)}", style="dim")
    return text


def _standard(missed: MissedStandard) -> Text:
    """Loss, and not the metric: it is what versions are compared by."""
    style = "bold red" if missed.lasting else "yellow"
    text = Text("lastingly missed" if missed.lasting else "missed", style=style)
    text.append(f" since {missed.since}: a loss of {output.number(missed.standard, 4)} ", style="not bold default")
    text.append(f"was promised by version {missed.version}", style="not bold default")
    if missed.reached is None:
        return text.append("; no labelled batch without an alarm yet", style="not bold dim")
    batches = output.count(missed.wanted, "labelled batch")
    where = f"on the last {batches}" if missed.lasting else f"on {missed.windows} of {batches}"
    return text.append(f"; {output.number(missed.reached, 4)} {where}", style="not bold default")


def _estimated(known: PerformanceStatus) -> Text:
    """Of the last batch, before its labels, and what that takes for granted."""
    if known.estimated is None:
        return Text("–", style="dim")
    text = Text(output.number(known.estimated), style="bold")
    if known.estimated_low is not None and known.estimated_high is not None:
        text.append(f" ({output.number(known.estimated_low)} to {output.number(known.estimated_high)})", "not bold")
    return text.append(f" on the last batch; {ASSUMED[known.assumption]}", style="not bold dim")


def _model(status: DeploymentStatus) -> Text:
    model = status.model
    if model is None:
        return Text("none yet: the first one is trained at the first pass", style="yellow")
    text = Text(f"version {model.version}", style="bold")
    text.append(f"  {model.origin}, {output.ago(model.age)}, {output.count(model.rows, 'row')}", style="not bold")
    return text.append(f" ({model.candidate})", style="not bold dim")


def _labels(status: DeploymentStatus) -> Text:
    labels, text = status.labels, Text(_unlabelled(status))
    if labels.reachable is not None and labels.settled_batches is not None:
        after = "with the next batch" if labels.settled_batches <= 1 else f"within {labels.settled_batches} batches"
        text.append(f"\nusually {output.percent(labels.reachable)} of the rows get one, {after}", style="dim")
        if labels.to_come and labels.by is not None and (rows := round(labels.to_come)):
            text.append(f"; about {rows:,} to come, most by {output.moment(labels.by)}", style="dim")
    if labels.unmatched_rows and labels.unmatched_since is not None:
        unmatched, since = output.count(labels.unmatched_rows, "label row"), output.moment(labels.unmatched_since)
        text.append(f"\n{unmatched} waiting for a batch with such an id, since {since}", style="yellow")
    if labels.held_windows:
        held = f"{output.count(labels.held_windows, 'window')}, {output.count(labels.held_rows, 'row')}"
        text.append(f"\nheld: {held}; are they right? `monitor labels held {status.deployment}`", style="bold red")
    return text


def _unlabelled(status: DeploymentStatus) -> str:
    parts = []
    if status.unlabelled_batches:
        batches, rows = output.count(status.unlabelled_batches, "batch"), output.count(status.unlabelled_rows, "row")
        parts.append(f"{batches} without enough labels yet, {rows}")
    if status.labels_waiting:
        parts.append(f"{output.count(status.labels_waiting, 'label delivery')} not read yet")
    return "; ".join(parts) or "no batch waits for labels"


def _attempt(status: DeploymentStatus) -> Text:
    attempt = status.last_attempt
    if attempt is None:
        return Text()
    dry, why = " (dry run)" if attempt.dry_run else "", f": {attempt.reason}" if attempt.reason else ""
    told = f"{dry}  {output.moment(attempt.at)}{why}"
    return output.verdict_text(attempt.outcome).append(told, style="default not bold")


def _next(status: DeploymentStatus) -> Text:
    text = Text()
    if status.failing is not None:
        text.append("passes fail", style="bold red")
        text.append(f" since {output.moment(status.failing.since)} UTC: {status.failing.error}\n", style="red")
    last, attempt = status.last, status.last_attempt
    ended = attempt is not None and attempt.outcome not in (RUNNING, LOST)
    if status.decision == Decision.RETRAIN and last and attempt and ended and attempt.at >= last.window_end:
        text.append("waits for the next batch; the attempt that the last one decided on has been made\n")
    elif status.decision is not None:
        text.append_text(output.verdict_text(status.decision))
        text.append(f"  {status.decision_reason}\n")
    if status.waiting:
        text.append(f"{output.count(status.waiting, 'batch')} waiting; ")
    if status.daemon is None:
        text.append("no daemon is at work on it; ", style="yellow")
        text.append(f"`monitor run` checks {status.schedule}")
    else:
        text.append(f"checked {status.schedule}")
    if status.retrain_mode != "auto":
        text.append(f"; `retrain.mode` is {status.retrain_mode}", style="yellow")
    return text
