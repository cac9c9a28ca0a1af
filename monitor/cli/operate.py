"""`run`, `once` and `retrain`: what the daemon does, by itself or by hand."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli import output
from monitor.cli.arguments import Name, NameOrAll, NamesOrAll
from monitor.cli.batch_lines import attempt_line, batch_line, conclusion_line
from monitor.cli.session import Session, names_or_all, pick
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.app.conclude import Conclusion
    from monitor.app.retrain_model import Attempt, Orders
    from monitor.domain.record import BatchRecord

_DRIFT_FOUND = 1
_MODEL_FAILED = 4
_NOT_PROMOTED = 5


def run(session: Session, names: NamesOrAll = None) -> None:
    """Watch deployments on their schedules until SIGTERM or Ctrl-C; serve metrics and health pages.

    SIGHUP reads the configuration again.
    """
    hung_up = Event()  # before there is something to reload; by default the signal ends the process
    signal.signal(signal.SIGHUP, lambda _number, _frame: hung_up.set())
    with session.application(names, talkative=True) as app:
        from monitor.web.serve import serve

        app.run(serve, names=names_or_all(app.deployments, None), hung_up=hung_up.is_set)


def once(
    session: Session,
    name: NameOrAll = None,
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="Exit with 1 when a batch of this pass has drifted.")
    ] = False,
) -> None:
    """Judge everything that waits, then exit; one line per batch as it is judged."""
    from monitor.app.advance import Listener

    names = names_or_all(session.deployments, name)
    with session.application(names) as app:
        console = output.stdout()

        def show_attempt(attempt: Attempt) -> None:
            if not session.json:
                console.print(attempt_line(attempt.to_dict()))

        def show_conclusion(conclusion: Conclusion) -> None:
            if not session.json:
                console.print(conclusion_line(conclusion.to_dict()))

        def show(record: BatchRecord) -> None:
            if session.json:
                output.emit_line(record.to_dict())
            else:
                console.print(batch_line(record.to_dict(), name_deployment=len(names) > 1))

        with output.progress("training") as progress:
            listener = Listener(record=show, attempt=show_attempt, conclusion=show_conclusion, progress=progress)
            records = app.once(names, listener)
    if not session.json:
        drifted = sum(record.verdict == "drift" for record in records)
        output.stderr().print(f"{output.count(len(records), 'batch')} judged, {drifted} with drift.")
    if fail_on_drift and any(record.verdict == "drift" for record in records):
        raise typer.Exit(_DRIFT_FOUND)


def retrain(  # noqa: PLR0917 - typer reads the options off the signature
    session: Session,
    name: Name = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train and compare, but promote nothing.")] = False,
    approve: Annotated[
        bool, typer.Option("--approve", help="Keep what passes the gate as the candidate, until it is promoted.")
    ] = False,
    candidates: Annotated[
        str | None,
        typer.Option("--candidates", metavar="NAME,…", help="Instead of retrain.candidates.", show_default=False),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="No rows from before, in UTC.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train candidates on the collected rows and promote the best one if it proves itself; safe beside the daemon."""
    from monitor.cli.attempt_view import attempt_page

    orders = _orders(dry_run, approve, candidates, since)
    chosen = pick(session.deployments, name)
    with session.application([chosen]) as app:
        metric = app.deployments[chosen].performance.metric
        with output.progress(f"retraining {chosen}") as progress:
            result = app.retrain(chosen, orders, progress)
    if session.json:
        output.emit({"deployment": chosen, **result})
    else:
        output.stdout().print(attempt_page(result, metric))
    raise typer.Exit(_exit_code(result))


def _orders(dry_run: bool, approve: bool, candidates: str | None, since: datetime | None) -> Orders:
    from monitor.app.retrain_model import Orders
    from monitor.config.retraining import known_candidates

    if dry_run and approve:
        raise ConfigError("--dry-run promotes nothing and keeps nothing: leave out --approve")
    try:
        names = known_candidates([name.strip() for name in candidates.split(",")] if candidates else [])
    except ValueError as exc:
        raise ConfigError(f"--candidates: {exc}") from None
    return Orders(
        mode="dry_run" if dry_run else "approve" if approve else None,
        candidates=tuple(names),
        since=since.replace(tzinfo=UTC) if since else None,
    )


def _exit_code(result: Mapping[str, Any]) -> int:
    """A dry run that could be made is done, whatever it found; so is one that left a candidate as it was asked to."""
    if result["outcome"] == "failed":
        return _MODEL_FAILED
    return 0 if result["outcome"] == "promote" or result["dry_run"] else _NOT_PROMOTED
