"""`monitor`: the commands, and what a failure looks like to the person or the program that called."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli import acknowledge, compare, journal, labels, look, models, operate, rules, setup, tokens
from monitor.cli.command import ConfigOption, DebugOption, JsonOption, command, session_of, share
from monitor.cli.session import Session
from monitor.errors import MonitorError

app = typer.Typer(
    name="monitor",
    help="Watch deployed models: score batches, detect drift, retrain, and promote only what proves itself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

models_app = typer.Typer(help="Versions of a deployed model: look, add, promote, go back.", no_args_is_help=True)
labels_app = typer.Typer(
    help="Labels: take in a file by hand, and decide about those that are held.", no_args_is_help=True
)

token_app = typer.Typer(help="Who may call the daemon over HTTP.", no_args_is_help=True)

_UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h: none of the documented outcomes


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"monitor {version('driftloop')}")
        raise typer.Exit


@app.callback()
def _shared(
    context: typer.Context,
    config: ConfigOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    share(session_of(context), config=config, json=json, debug=debug)


command(app)(operate.run)
command(app)(operate.once)
command(app)(operate.retrain)
command(app)(acknowledge.acknowledge)
command(app)(look.status)
command(app)(look.history)
command(app)(journal.journal)
command(app)(look.report)
command(labels_app, "import")(labels.import_)
command(labels_app)(labels.held)
command(labels_app)(labels.release)
command(labels_app)(labels.reject)
app.add_typer(labels_app, name="labels")
command(models_app, "list")(models.list_)
command(models_app)(models.show)
command(models_app)(models.add)
command(models_app)(models.promote)
command(models_app)(models.rollback)
app.add_typer(models_app, name="models")
command(app)(compare.compare)
command(token_app)(tokens.new)
app.add_typer(token_app, name="token")
command(app)(setup.check_config)
command(app)(rules.rules)
command(app)(setup.init)


def run() -> None:
    """Entry point of the console script."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors are told on standard error."""
    session = Session()
    try:
        app(list(arguments), prog_name="monitor", obj=session)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except MonitorError as exc:
        _tell(session, str(exc), type(exc).__name__, exc.exit_code)
        if session.debug:
            traceback.print_exception(exc)
        return exc.exit_code
    except Exception as exc:  # a user is told where to read on, and is not shown a traceback
        _tell(session, _unexpected(session, exc), type(exc).__name__, _UNEXPECTED)
        return _UNEXPECTED
    return 0


def _tell(session: Session, message: str, kind: str, exit_code: int) -> None:
    if session.json:
        sys.stderr.write(json.dumps({"error": message, "kind": kind, "exit_code": exit_code}) + "\n")
    else:
        sys.stderr.write(f"monitor: {message}\n")


def _unexpected(session: Session, exc: Exception) -> str:
    """Keep the traceback where it can be found again and return the line that says so."""
    kind = type(exc).__name__
    if session.private:
        from monitor.domain.private import without_text

        exc = without_text(exc)
    if session.debug:
        traceback.print_exception(exc)
    line = f"unexpected {kind}: {exc}".splitlines()[0]
    text = "".join(traceback.format_exception(exc))
    name = f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.txt"
    for folder in (session.data_folder, Path(tempfile.gettempdir())):
        if folder is None:
            continue
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"monitor {' '.join(sys.argv[1:])}\n{text}", encoding="utf-8")
            return f"{line}\nThe traceback is in {folder / name}"
    return f"{line}\n{text}"
