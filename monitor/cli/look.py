"""`status`, `history` and `report`: what was seen, and what happens next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from monitor.cli import output
from monitor.cli.arguments import Name, NameOrAll, NameThen
from monitor.cli.batch_lines import history_page
from monitor.cli.session import Session, names_or_all, pick, pick_with

_BLOCKS = 4  # more deployments than this are shown as one line each


def status(
    session: Session,
    name: NameOrAll = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="While an alarm stands: what speaks for its type, and which rows.")
    ] = False,
) -> None:
    """Show at a glance how each deployment stands and what happens next."""
    from monitor.app.status import deployment_status
    from monitor.cli.status_view import overview, status_block

    names = names_or_all(session.deployments, name)
    with session.application(names) as app:
        now = datetime.now(UTC)
        found = [deployment_status(app.store, app.deployments[one], now) for one in names]
    if session.json:
        output.emit([one.to_dict() for one in found])
        return
    console = output.stdout()
    if len(found) > _BLOCKS and not explain:
        console.print(overview(found))
        return
    for place, one in enumerate(found):
        if place:
            console.print()
        console.print(status_block(one, explain=explain))


def history(
    session: Session,
    name: Name = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many batches, the newest ones.")] = 20,
) -> None:
    """List judged batches, oldest first; with `--json` the full records, one per line."""
    chosen = pick(session.deployments, name)
    with session.application([chosen]) as app:
        records = app.store.records(chosen, last=last)
        total = app.store.count_records(chosen)
        metric = app.deployments[chosen].performance.metric
    if session.json:
        for record in records:
            output.emit_line(record)
        return
    if not records:
        output.stderr().print(f"{chosen}: no batch was judged yet")
        return
    output.stdout().print(history_page(records, metric))
    if total > len(records):
        output.stderr().print(f"the last {len(records)} of {total:,}; more with --last", style="dim")


def report(
    session: Session,
    first: NameThen,
    second: Annotated[str | None, typer.Argument(metavar="BATCH", help="Batch, as `history` names it.")] = None,
) -> None:
    """Write an HTML report of a batch against the model's reference rows, and print where it is."""
    name, batch = pick_with(session.deployments, first, second)
    with session.application([name]) as app, output.stderr().status(f"writing the report of {batch} …"):
        made = app.report(name, batch)
    if session.json:
        file = None if made.file is None else str(made.file)
        output.emit({"deployment": name, "batch": batch, "report": file, "reason": made.reason})
    elif made.file is None:
        output.stderr().print(made.reason)
    else:
        typer.echo(made.file)
