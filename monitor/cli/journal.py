"""`journal`: what was decided, tried and done, whether or not a daemon runs."""

from __future__ import annotations

from typing import Annotated

import typer

from monitor.cli import output
from monitor.cli.arguments import Name
from monitor.cli.session import Session, pick

_LOOKED_THROUGH = 1000  # newest entries, to say which events there are


def journal(
    session: Session,
    name: Name = None,
    event: Annotated[
        str | None, typer.Option("--event", help="Only these: attempt, pass_failed, …", show_default=False)
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many entries, the newest ones.")] = 20,
    before: Annotated[
        int | None, typer.Option("--before", min=1, help="Only entries with a smaller number.", show_default=False)
    ] = None,
) -> None:
    """List decisions, attempts, promotions, failures and what was done by hand, oldest first."""
    chosen = pick(session.deployments, name)
    with session.application([chosen]) as app:
        entries = app.store.events(chosen, event=event, last=last, before=before)
        others = [] if entries else app.store.events(chosen, last=_LOOKED_THROUGH)
    if session.json:
        for entry in entries:
            output.emit_line(entry)
        return
    if entries:
        from monitor.cli.journal_view import journal_table

        output.stdout().print(journal_table(entries))
        if len(entries) == last:
            number = entries[0]["number"]
            output.stderr().print(f"the last {last}; earlier ones with --before {number}", style="dim")
    elif others:
        found = ", ".join(sorted({entry["event"] for entry in others}))
        output.stderr().print(f"{chosen}: no such entry; the journal has {found}")
    else:
        output.stderr().print(f"{chosen}: the journal is empty")
