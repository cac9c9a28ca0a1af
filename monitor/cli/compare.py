"""`compare`: one file against another, for a look and for CI."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from monitor.cli import output
from monitor.cli.session import Session
from monitor.errors import ConfigError, DataError

if TYPE_CHECKING:
    from polars import DataFrame

    from monitor.domain.detection.per_batch import PerBatchRule
    from monitor.domain.measures import Measure, Measures
    from monitor.domain.schema import Schema
    from monitor.domain.verdict import ChannelVerdict

_T = TypeVar("_T")
_NOT_OK = 1
_SMALLEST_P = 1e-4  # of a permutation test here: it would take minutes to do better
_SEED = 0  # of folds and permutations: equal files give an equal answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """A measure of all columns at once, and whether it is drift."""

    measure: Measure
    drift: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    rows: tuple[int, int]
    measures: Measures
    verdict: ChannelVerdict
    left_out: Mapping[str, str]
    together: Sequence[Together] = ()


def compare(
    session: Session,
    *,
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="Rows to compare with: Parquet, CSV or JSON Lines.")
    ],
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="Rows to judge.")],
    schema: Annotated[
        Path | None,
        typer.Option("--schema", help="Deployment file, or YAML with `features`; else guessed.", show_default=False),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Column that is no input and is left out.", show_default=False)
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", help="Column to leave out; may be given often.", show_default=False)
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha", min=0, max=1, help="Chance of a false alarm over all columns.", show_default="detect.alpha"
        ),
    ] = None,
    min_effect: Annotated[
        float | None,
        typer.Option(
            "--min-effect", min=0, max=1, help="Smallest shift that counts.", show_default="detect.min_effect"
        ),
    ] = None,
    together: Annotated[
        list[str] | None,
        typer.Option(
            "--together",
            metavar="MEASURE",
            help="Also measure all columns at once: classifier, mmd or reconstruction; may be given often.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare the columns of two files; exit with 1 when one has drifted or there are too few rows to tell."""
    from monitor.config.detection import DetectConfig
    from monitor.domain.detection.per_batch import PerBatchRule

    defaults = DetectConfig()
    rule = PerBatchRule(
        alpha=defaults.alpha if alpha is None else alpha,
        min_effect=defaults.min_effect if min_effect is None else min_effect,
        min_loss_increase=defaults.min_loss_increase,
        hold=1,
        min_rows=defaults.min_rows,
    )
    left_out = [*([label] if label else []), *(ignore or [])]
    together = list(dict.fromkeys(together or ()))
    compared = _compare(reference, current, schema, left_out=left_out, rule=rule, together=together)
    if session.json:
        output.emit(_document(compared, rule))
    else:
        _show(compared)
    if compared.verdict.verdict != "ok":
        raise typer.Exit(_NOT_OK)


def _compare(
    reference: Path,
    current: Path,
    schema: Path | None,
    *,
    left_out: Collection[str],
    rule: PerBatchRule,
    together: Sequence[str],
) -> _Compared:
    """The columns together and each measure of `together` have an equal share of the chance of a false alarm."""
    from monitor.adapters.loose_files import Guess, guess_schema, read_loose
    from monitor.domain.detection.per_batch import judge_columns
    from monitor.domain.reference import Reference
    from monitor.domain.verdict import Channel, Verdict

    known = None if schema is None else _read_schema(schema, left_out)
    private = known is not None and bool(known.private)
    before, after = read_loose(reference, private=private), read_loose(current, private=private)
    guess = guess_schema(before, left_out) if known is None else Guess(known, {})
    fitted = _naming(reference, lambda: Reference.fit(before, guess.schema))
    measures = fitted.compare(_naming(current, lambda: fitted.profile(after)))
    rows = (before.height, after.height)
    share = replace(rule, alpha=rule.alpha / (1 + len(together)))
    verdict, _ = judge_columns(Channel.INPUTS, measures, min(rows), share, 0)
    found = _together(before, after, guess.schema, together, share) if together else ()
    moved = ", ".join(one.measure.measure for one in found if one.drift)
    if moved and verdict.verdict != Verdict.INSUFFICIENT_DATA:
        verdict = replace(verdict, verdict=Verdict.DRIFT, reason=f"{verdict.reason}; all together differ by {moved}")
    return _Compared(rows=rows, measures=measures, verdict=verdict, left_out=guess.left_out, together=found)


def _together(
    before: DataFrame, after: DataFrame, schema: Schema, names: Sequence[str], rule: PerBatchRule
) -> Sequence[Together]:
    """The classifier's effect is on the AUC scale and must reach `min_effect`; those of the others are on none."""
    import numpy as np

    from monitor.domain.multivariate import compare_rows

    rng = np.random.default_rng(_SEED)
    permutations = math.ceil(2 / max(rule.alpha, _SMALLEST_P))  # fewer could not reach alpha
    compared = compare_rows(before, after, schema, names, rng=rng, permutations=permutations)
    return [
        Together(
            measure=m,
            drift=m.p_value is not None
            and m.p_value <= rule.alpha
            and (m.measure != "classifier" or abs(m.effect) >= rule.min_effect),
        )
        for m in compared.measures
    ]


def _naming(file: Path, work: Callable[[], _T]) -> _T:
    """Do the work; an error about the rows gets the name of the file they are from."""
    try:
        return work()
    except DataError as exc:
        raise DataError(f"{file}: {exc}") from exc


def _read_schema(file: Path, left_out: Collection[str]) -> Schema:
    """The features of a deployment file, or of a file with nothing but them, and which of them are private."""
    import yaml

    from monitor.domain.schema import Schema

    try:
        plain = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise ConfigError(f"{file}: cannot be read as YAML: {exc}") from exc
    section = plain.get("schema", plain) if isinstance(plain, dict) else None
    features = section.get("features") if isinstance(section, dict) else None
    if not (isinstance(section, dict) and isinstance(features, dict)):
        raise ConfigError(f"{file}: expected `features` with a kind for each column")
    try:
        held = {name: kind for name, kind in features.items() if name not in left_out}
        return Schema(features=held, private=tuple(name for name in section.get("private") or () if name in held))
    except ConfigError as exc:
        raise ConfigError(f"{file}: {exc}") from None


def _document(compared: _Compared, rule: PerBatchRule) -> dict[str, Any]:
    verdict = compared.verdict
    return {
        "verdict": verdict.verdict.value,
        "reason": verdict.reason,
        "alpha": rule.alpha,
        "min_effect": rule.min_effect,
        "rows": {"reference": compared.rows[0], "current": compared.rows[1]},
        "drifted": verdict.to_dict()["columns"],
        "left_out": compared.left_out,
        "measures": [measure.to_dict() for measure in compared.measures],
        "together": [{**one.measure.to_dict(), "drift": one.drift} for one in compared.together],
    }


def _show(compared: _Compared) -> None:
    from rich.table import Table
    from rich.text import Text

    verdict = compared.verdict
    drifted = {column.name for column in verdict.columns}
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("column", overflow="fold")
    table.add_column("measure", no_wrap=True)
    for heading in ("statistic", "p-value", "effect"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold", style="dim")
    before = ""
    for m in compared.measures:
        name = Text(m.column if m.column != before else "", style="bold red" if m.column in drifted else "")
        before = m.column
        table.add_row(
            name, m.measure, output.number(m.statistic), _p_value(m.p_value), output.number(m.effect), m.detail
        )
    for one in compared.together:
        m = one.measure
        name = Text("all columns", style="bold red" if one.drift else "")
        table.add_row(
            name, m.measure, output.number(m.statistic), _p_value(m.p_value), output.number(m.effect), m.detail
        )
    console = output.stdout()
    console.print(table)
    console.print()
    console.print(output.verdict_text(verdict.verdict.value).append(f"  {verdict.reason}", style="default not bold"))
    for column in verdict.columns:
        p = _p_value(column.p_value)
        console.print(f"  {column.name}: {column.measure} {output.number(column.shift)}, adjusted p {p}", style="red")
    if compared.left_out:
        left_out = ", ".join(f"{name} ({why})" for name, why in compared.left_out.items())
        output.stderr().print(f"left out: {left_out}", style="dim", markup=False)


def _p_value(p: float | None) -> str:
    if p is None:
        return "–"
    return f"{p:.1e}" if p < output.SMALLEST_PLAIN else f"{p:.3f}"
