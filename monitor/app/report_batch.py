"""A report for people: one batch beside what the model that scored it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from monitor.app.runtime import Runtime
from monitor.app.snapshot import TRAINING_FILE
from monitor.domain.shift import Shift
from monitor.domain.verdict import Channel
from monitor.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Report:
    """`file` is None when there is nothing to draw; `reason` then says why."""

    file: Path | None
    reason: str = ""


def report_batch(rt: Runtime, batch: str) -> Report:
    """Write `reports/NAME/BATCH.html` and remove the oldest beyond `reports.keep`.

    Raises ConfigError for a batch that was never scored, MonitorError when the report could not be made.
    """
    record = rt.store.record(rt.name, batch)
    if record is None:
        raise ConfigError(f"{rt.name}: no judged batch {batch!r}; `monitor history {rt.name}` lists them")
    if record["model_version"] is None:
        why = record["verdicts"][Channel.INPUTS.value]["reason"]
        raise ConfigError(f"{rt.name}: {batch!r} was not scored, so that there is nothing to report: {why}")
    version = record["model_version"]
    if batch not in rt.collected:
        raise ConfigError(f"{rt.name}: the rows of {batch!r} are kept no longer (`retain.rows`)")
    private = rt.schema.private
    columns = [name for name, kind in rt.schema.features.items() if not kind.is_array and name not in private]
    reference = _training_rows(rt, version)
    current = _sampled(rt.collected.read(batch), rt.config.reports.max_rows)
    scores = [name for name in current.column_names if name.startswith("score:") and name in reference.column_names]
    if not columns and not scores:
        return Report(
            None,
            f"{rt.name}: {batch}: nothing to draw: images and vectors have no place in a report, and no model scored "
            f"the rows that version {version} was trained on, so that there are no predictions to compare either",
        )
    folder = rt.settings.data_folder / "reports" / rt.name
    folder.mkdir(parents=True, exist_ok=True)
    out = rt.reporter.report(
        reference.select([*columns, *scores]),
        current.select([*columns, *scores]),
        schema=rt.schema.to_dict(),
        title=f"{rt.name}: {batch} against the training rows of version {version}",
        out=folder / f"{batch.replace('/', '-')}.html",
        remarks=Shift.from_dict(record["shift"]).sentences() if record["shift"] else (),
    )
    for stale in sorted(folder.glob("*.html"), key=lambda f: -f.stat().st_mtime)[rt.config.reports.keep :]:
        stale.unlink(missing_ok=True)
    return Report(out)


def _training_rows(rt: Runtime, version: int) -> pa.Table:
    """The newest rows that the version was fitted on, at most `reports.max_rows`."""
    manifest = rt.store.manifest(rt.name, version)
    origins = manifest.lineage.batches if manifest else {}
    parts: list[pa.Table] = []
    rows = 0
    for batch in reversed(rt.collected.batches()):
        if batch in origins and rows < rt.config.reports.max_rows:
            parts.append(rt.collected.read(batch))
            rows += parts[-1].num_rows
    first = TRAINING_FILE in origins or rt.config.model.code is None  # the reference of one served elsewhere
    if not parts and rt.config.training is not None and first:
        parts.append(rt.read_labelled(rt.config.training.path, "training.path"))
    if not parts:
        raise ConfigError(f"{rt.name}: the rows that version {version} was trained on are not here")
    return _sampled(pa.concat_tables(parts, promote_options="permissive"), rt.config.reports.max_rows)


def _sampled(rows: pa.Table, most: int) -> pa.Table:
    """Every k-th row, so that the order of the rows favours none of them."""
    step = -(-rows.num_rows // most)
    return rows.take(pa.array(range(0, rows.num_rows, step))) if step > 1 else rows
