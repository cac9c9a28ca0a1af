"""Look at a file of labelled rows and write a deployment file for it, with the reasons as comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import yaml

from monitor.adapters.column_guessing import Guess, Roles, guess_roles
from monitor.adapters.file_reading import read_raw, suffix_of
from monitor.adapters.file_source import read_content
from monitor.domain.schema import Kind, LabelKind
from monitor.errors import ConfigError

_METRIC = {LabelKind.BINARY: "roc_auc", LabelKind.MULTICLASS: "accuracy", LabelKind.REGRESSION: "mae"}
_MOST_SEGMENT_VALUES = 12


def propose_deployment(
    file: Path, *, name: str, path: str, label: str | None = None, scores: Sequence[str] = ()
) -> str:
    """The text of `deployments/NAME.yaml`; it loads as it is, and its comments say what was guessed and why.

    `path`: of the file, as a deployment names it. `scores` of a model that is served elsewhere: one column, or
    `CLASS=COLUMN` for each class. Raises ConfigError when the label cannot be told, a column of scores is not there or
    no column is left to learn from, DataError and SourceError when the file cannot be read.
    """
    content = read_content(str(file), "the file to look at")
    names = read_raw(content, file.name, scalars=()).columns
    raw = read_raw(content, file.name, scalars=(), arrays=names)
    if not raw.frame.height:
        raise ConfigError(f"{file}: no rows to look at")
    columns = [score.rpartition("=")[2] for score in scores]
    if gone := [column for column in columns if column not in names]:
        raise ConfigError(f"{file}: no column {gone[0]!r} of scores; the file has: {', '.join(names)}")
    raw = replace(raw, frame=raw.frame.drop(columns), columns=tuple(n for n in names if n not in columns))
    roles = guess_roles(raw, label=label)
    if not roles.features:
        reasons = "; ".join(f"{c.name}: {c.skip}" for c in roles.skipped)
        raise ConfigError(f"{file}: no column is left to learn from ({reasons or 'there is no other'})")
    return "\n".join(_lines(path, name, roles, scores, raw.frame.height)) + "\n"


def _lines(path: str, name: str, roles: Roles, scores: Sequence[str], rows: int) -> Iterator[str]:
    suffix, looked_at = suffix_of(path), _comment(PurePath(path).name)
    yield f"# Written by looking at {rows} rows of {looked_at}. Everything guessed says so: read it through."
    yield f"name: {_scalar(name)}"
    yield "model:"
    yield from _model(roles, scores)
    yield "training:"
    use = "its rows and scores are what batches are held against" if scores else "the first model is trained from it"
    yield f"  path: {_scalar(path)}  # {use}; relative to the project folder"
    yield "schema:"
    yield from _roles(roles)
    yield "  features:"
    yield from (f"    {_scalar(c.name)}: {c.kind}  # {_comment(c.why)}" for c in roles.features)
    if roles.skipped:
        yield "    # Left out; take the # away where you know better:"
        yield from (
            f"    # {_comment(_scalar(c.name))}: {c.kind or 'categorical'}  # {_comment(c.skip)}" for c in roles.skipped
        )
    yield from _segments(roles)
    yield "batches:"
    yield f"  path: {_scalar(f'var/incoming/{name}/*{suffix}')}  # also URLs, and {{year}}/{{month}}/{{day}}"
    yield "labels:"
    yield f"  path: {_scalar(f'var/labels/{name}/*{suffix}')}  # the id and the label column, whenever they are known"
    yield "schedule:"
    yield "  every: 5m"
    yield "performance:"
    yield f"  metric: {_METRIC[roles.label_kind]}"


def _model(roles: Roles, scores: Sequence[str]) -> Iterator[str]:
    image = any(c.kind is Kind.IMAGE for c in roles.features)
    if not scores:
        yield f"  code: models/{'image_network' if image else 'tabular_network'}.py"
    elif "=" not in scores[0]:
        yield f"  scores: [{', '.join(_scalar(column) for column in scores)}]  # served elsewhere"
    else:
        yield "  scores:  # served elsewhere: the column of each class's probability"
        yield from (f"    {_scalar(one)}: {_scalar(column)}" for one, _, column in (s.rpartition("=") for s in scores))


def _roles(roles: Roles) -> Iterator[str]:
    if roles.id is not None:
        yield f"  id: {_scalar(roles.id)}  # guessed: different in every row; labels are joined by it"
    else:
        yield "  # No column is different in every row, but labels are joined by one. Add a column row_id to"
        yield "  # the training file, the batches and the labels (a running number will do), or name the right column."
        yield "  id: row_id"
    if roles.timestamp is not None:
        yield f"  timestamp: {_scalar(roles.timestamp)}  # guessed: the moment each row belongs to"
    else:
        yield "  # timestamp: NAME  # no column holds times: a batch then belongs to the moment its file was written"
    if roles.without_zone:
        yield "  timezone: UTC  # a guess! The times have no zone: name the one they are in, such as Europe/Berlin"
    yield "  label:"
    yield f"    name: {_scalar(roles.label.name)}"
    yield f"    kind: {roles.label_kind}  # guessed: {roles.label.distinct} different values"
    if roles.positive is not None:
        yield f"    positive: {_scalar(roles.positive)}  # guessed: the class whose probability ranks the rows"


def _segments(roles: Roles) -> Iterator[str]:
    usable = [c.name for c in roles.features if _is_segment(c)]
    if usable:
        yield f"  # segments: [{_comment(', '.join(_scalar(n) for n in usable))}]  # results are broken down by these"


def _is_segment(column: Guess) -> bool:
    return column.kind in (Kind.CATEGORICAL, Kind.BOOLEAN) and column.distinct <= _MOST_SEGMENT_VALUES


def _scalar(text: str) -> str:
    """`text` as a YAML string on one line, quoted where it would be read as something else."""
    return yaml.safe_dump(text, width=float("inf"), allow_unicode=True).removesuffix("\n...\n").rstrip("\n")


def _comment(text: str) -> str:
    """`text` fit for a comment: on one line."""
    return " ".join(text.split())
