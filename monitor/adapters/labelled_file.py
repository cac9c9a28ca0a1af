"""Whether a file of labelled rows that the configuration names can be used, as far as the file alone can tell."""

from __future__ import annotations

from pathlib import Path

from monitor.adapters.file_source import read_content
from monitor.adapters.validation.rows import refusals, validate_rows
from monitor.app.ports import Validated
from monitor.domain.labels import classes_of
from monitor.domain.schema import Label, Schema
from monitor.errors import ConfigError, DataError, SourceError


def labelled_file_problems(path: Path | str, key: str, schema: Schema, label: Label) -> list[str]:
    """What is wrong with it, each thing with the setting `key`, file and column; none when it can be used.

    It is read as an attempt to train would read it. Single rows that are refused are no problem as long as others stay.
    """
    file = str(path)
    try:
        content = read_content(file, key)
    except (SourceError, ConfigError) as exc:
        return [f"{key}: {str(exc).removeprefix(f'{key}: ')}"]
    found = [str(refused) for refused in refusals(content, file, schema, label)]
    found = found or _unusable(validate_rows(content, file, schema, label=label, require_label=True), file, label)
    return [f"{key}: {problem}" for problem in found]


def _unusable(validated: Validated, file: str, label: Label) -> list[str]:
    if not validated.rows.num_rows:
        first = validated.rejected.slice(0, 1).to_pylist()
        why = [f"; first: column {row['column']!r}, row {row['row']}: {row['detail']}" for row in first]
        return [f"{file}: no row can be used{''.join(why)}"]
    try:
        if label.is_class:
            classes_of(validated.rows.column(label.name).to_pylist(), label)
    except DataError as exc:
        return [f"{file}, {exc}"]
    return []
