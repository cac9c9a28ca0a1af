"""How versions look: one line each, or a page about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.cli import output
from monitor.domain.version import AliasMove, Lineage, Manifest

_MOST_BATCHES = 12


def versions_table(
    manifests: Sequence[Manifest], aliases: Mapping[int, Sequence[str]], metric: str, now: datetime
) -> Table:
    """Oldest first. The metric is the one on the held-out rows, before the refit with them."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading, side in (("version", "right"), ("alias", "left"), ("origin", "left"), ("fitted on", "left")):
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=True)
    for heading in ("rows", "batches", metric, "parent"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("created", no_wrap=True)
    for m in manifests:
        table.add_row(
            str(m.version),
            Text(", ".join(aliases.get(m.version, ())), style="bold green"),
            m.origin,
            m.candidate,
            f"{m.lineage.rows:,}",
            f"{len(m.lineage.batches):,}",
            output.number(m.metrics.get(metric)),
            "" if m.parent is None else str(m.parent),
            output.ago(now - m.created),
        )
    return table


def version_page(manifest: Manifest, aliases: Sequence[str], moves: Sequence[AliasMove]) -> RenderableType:
    """Everything of the manifest that a person reads; `--json` has the rest."""
    heading = Text(f"{manifest.deployment} version {manifest.version}", style="bold")
    if aliases:
        heading.append(f"  {', '.join(aliases)}", style="bold green")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    parent = "" if manifest.parent is None else f", parent version {manifest.parent}"
    table.add_row("created", f"{output.moment(manifest.created)} UTC, {manifest.origin}{parent}")
    if manifest.same_model_as is not None:
        table.add_row("model", f"that of version {manifest.same_model_as}, which is right again")
    table.add_row("fitted on", f"{output.count(manifest.lineage.rows, 'row')} ({manifest.candidate})")
    table.add_row("  from", _span(manifest.lineage))
    table.add_row("  batches", _batches(manifest.lineage.batches))
    table.add_row("  rows digest", manifest.lineage.rows_digest or "–")
    table.add_row("held out", output.count(manifest.held_out_rows, "row"))
    table.add_row("metrics", _pairs(manifest.metrics))
    for place, check in enumerate(manifest.checks):
        table.add_row("gate" if place == 0 else "", f"{check.name}  {check.finding.value}: {check.detail}")
    table.add_row("code", f"{manifest.code}  {manifest.code_hash[:12]}" if manifest.code else "served elsewhere")
    table.add_row("parameters", _pairs(manifest.params))
    table.add_row("seed", str(manifest.seed))
    table.add_row("classes", ", ".join(manifest.classes) or "none (regression)")
    table.add_row("schema", manifest.schema_fingerprint)
    for place, (file, digest) in enumerate(sorted(manifest.files.items())):
        table.add_row("files" if place == 0 else "", f"{file}  {digest[:12]}")
    for place, move in enumerate(moves):
        word = "became" if move.version == manifest.version else "was followed by"
        what = f"{word} {move.alias.value}" if move.version == manifest.version else f"{word} version {move.version}"
        table.add_row("history" if place == 0 else "", f"{output.moment(move.at)} UTC  {what}: {move.reason}")
    return Group(heading, Padding(table, (0, 0, 0, 2)))


def _span(lineage: Lineage) -> str:
    if lineage.first is None or lineage.last is None:
        return "–"
    return f"{output.moment(lineage.first)} to {output.moment(lineage.last)} UTC"


def _batches(batches: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name} ({rows:,})" for name, rows in list(batches.items())[:_MOST_BATCHES])
    more = f" and {len(batches) - _MOST_BATCHES:,} more" if len(batches) > _MOST_BATCHES else ""
    return f"{shown}{more}" or "–"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} {output.number(v, 4) if isinstance(v, float) else v}" for k, v in values.items()) or "–"
