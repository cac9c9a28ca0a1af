"""`labels import`: labels from a file that no watched folder delivers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitor.cli import output
from monitor.cli.arguments import NameThen
from monitor.cli.session import Session, pick_with

_WORDS = {
    "rows": "label rows read",
    "rejected": "rejected, kept in quarantine",
    "joined": "joined to their row",
    "corrected": "changed an earlier label",
    "duplicate": "known already",
    "pending": "waiting for their row or their time",
    "windows": "windows restated",
}


def import_(
    session: Session,
    first: NameThen,
    second: Annotated[str | None, typer.Argument(metavar="FILE", help="Parquet, CSV or JSON Lines.")] = None,
) -> None:
    """Join the labels of a file to the batches they belong to and restate their performance."""
    with session.application() as app:
        name, file = pick_with(app.deployments, first, second)
        with output.progress("training the first model") as progress:
            counts = app.import_labels(name, Path(file), progress)
    if session.json:
        output.emit({"deployment": name, "file": file, **counts})
        return
    console = output.stdout()
    for key, words in _WORDS.items():
        if key in counts:
            console.print(f"{counts[key]:>8,}  {words}")
    if counts["note"]:
        console.print(counts["note"], style="dim")
