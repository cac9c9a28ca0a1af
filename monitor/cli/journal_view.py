"""Entries of the journal as a table: number, time, event, and what it says in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from monitor.app import journal
from monitor.app.push import REFUSED
from monitor.cli import output
from monitor.cli.batch_lines import attempt_line, conclusion_line

_HEAD = ("number", "at", "event")
_SENTENCES = {
    "promoted": "version {version}, before that {previous}: {reason}",
    "rolled_back": "version {version}, before that {previous}: {reason}",
    "labels": "{delivery}: {rows} rows, {rejected} rejected",
    "labels_held": "{batch}: {reason}",
    "labels_released": "{batch}, by {by}: {reason}",
    "labels_rejected": "{batch}, by {by}: {reason}",
    "standard_missed": "{batch}: worse than the loss of {standard:.4g} that version {version} had promised",
    "standard_met": "{batch}: as good again as the loss of {standard:.4g} that version {version} had promised",
    "acknowledged": "{channel} on {batch}: {reason}",
    journal.BAD_DATA: "{batch}: {reason}",
    journal.PASS_FAILED: "{error}",
    REFUSED: "{kind} {id}: {error}",
}


def journal_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Oldest first, times in UTC; `--json` has the rest of each entry."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("number", justify="right", no_wrap=True)
    table.add_column("at (UTC)", no_wrap=True)
    table.add_column("event", no_wrap=True)
    table.add_column("what", overflow="fold")
    for entry in entries:
        at = datetime.fromisoformat(entry["at"]).astimezone(UTC)
        table.add_row(str(entry["number"]), output.moment(at, seconds=True), entry["event"], _told(entry))
    return table


def _told(entry: Mapping[str, Any]) -> Text:
    """What an entry says; of an event that has no sentence here, whatever it holds."""
    match entry["event"]:
        case "decision":
            said = f"  {entry['batch']}: {entry['reason']}"
            return output.verdict_text(entry["decision"]).append(said, style="default not bold")
        case journal.ATTEMPT_BEGUN:
            return Text(_begun_by(entry))
        case journal.ATTEMPT:
            return attempt_line(entry).append(f" ({_begun_by(entry)})", style="not bold dim")
        case "trial_ended":
            return conclusion_line(entry)
        case event if event in _SENTENCES:
            return Text(_SENTENCES[event].format_map(entry))
    return Text("; ".join(_parts(entry)))


def _begun_by(entry: Mapping[str, Any]) -> str:
    return f"{entry['trigger'].replace('_', ' ')}{', dry run' if entry['dry_run'] else ''}"


def _parts(entry: Mapping[str, Any]) -> Iterator[str]:
    for key, value in entry.items():
        if key not in _HEAD and value not in (None, "", [], {}):
            yield f"{key.replace('_', ' ')} {value}"
