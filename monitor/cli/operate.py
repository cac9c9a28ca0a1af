"""`run`, `once` and `retrain`: what the daemon does, by itself or by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli import output
from monitor.cli.arguments import Name, NameOrAll, NamesOrAll
from monitor.cli.batch_lines import attempt_line, batch_line
from monitor.cli.session import Session, names_or_all, pick

if TYPE_CHECKING:
    from monitor.app.retrain_model import Attempt
    from monitor.domain.record import BatchRecord

_DRIFT_FOUND = 1
_MODEL_FAILED = 4
_NOT_PROMOTED = 5


def run(session: Session, names: NamesOrAll = None) -> None:
    """Watch deployments on their schedules until SIGTERM or Ctrl-C; serve metrics and health pages."""
    with session.application(names, talkative=True) as app:
        from monitor.web.serve import serve

        app.run(serve, names=names_or_all(app.deployments, None))


def once(
    session: Session,
    name: NameOrAll = None,
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="Exit with 1 when a batch of this pass has drifted.")
    ] = False,
) -> None:
    """Judge everything that waits, then exit; one line per batch as it is judged."""
    from monitor.app.advance import Listener

    with session.application() as app:
        names = names_or_all(app.deployments, name)
        console = output.stdout()

        def show_attempt(attempt: Attempt) -> None:
            if not session.json:
                console.print(attempt_line(attempt.to_dict()))

        def show(record: BatchRecord) -> None:
            if session.json:
                output.emit_line(record.to_dict())
            else:
                console.print(batch_line(record.to_dict()))

        with output.progress("training") as progress:
            records = app.once(names, Listener(record=show, attempt=show_attempt, progress=progress))
    if not session.json:
        drifted = sum(record.verdict == "drift" for record in records)
        output.stderr().print(f"{output.count(len(records), 'batch')} judged, {drifted} with drift.")
    if fail_on_drift and any(record.verdict == "drift" for record in records):
        raise typer.Exit(_DRIFT_FOUND)


def retrain(
    session: Session,
    name: Name = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train and compare, but promote nothing.")] = False,
) -> None:
    """Train candidates on the collected rows and promote the best one if it proves itself; safe beside the daemon."""
    with session.application() as app:
        chosen = pick(app.deployments, name)
        metric = app.deployments[chosen].performance.metric
        with output.progress(f"retraining {chosen}") as progress:
            result = app.retrain(chosen, dry_run=dry_run, progress=progress)
    if session.json:
        output.emit({"deployment": chosen, **result})
    else:
        _show_attempt(result, metric)
    raise typer.Exit(_exit_code(result))


def _exit_code(result: Mapping[str, Any]) -> int:
    """A dry run that could be made is done, whatever it found."""
    if result["outcome"] == "failed":
        return _MODEL_FAILED
    return 0 if result["outcome"] == "promote" or result["dry_run"] else _NOT_PROMOTED


def _show_attempt(result: Mapping[str, Any], metric: str) -> None:
    from rich.table import Table

    console = output.stdout()
    if result["losses"]:
        table = Table("model", "held-out loss", metric, box=None, pad_edge=False, header_style="dim")
        for column in table.columns[1:]:
            column.justify = "right"
        for model, loss in sorted(result["losses"].items(), key=lambda pair: pair[1]):
            chosen = " ← chosen" if model == result["chosen"] else ""
            table.add_row(model + chosen, output.number(loss, 4), output.number(result["metrics"].get(model), 4))
        console.print(table)
        console.print()
    console.print(attempt_line(result))
    if result["rows"]:
        rows = output.count(result["rows"], "row")
        console.print(f"{rows}, {result['held_out']:,} of them held out; {result['seconds']:.1f} s", style="dim")
