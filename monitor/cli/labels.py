"""`labels …`: labels from a file that no watched folder delivers, and what becomes of labels that are doubted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import output
from monitor.cli.arguments import Name, NameThen, Reason
from monitor.cli.session import Session, pick, pick_with

if TYPE_CHECKING:
    from monitor.domain.label_trust import Doubt

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
    name, file = pick_with(session.deployments, first, second)
    with session.application([name]) as app, output.progress("training the first model") as progress:
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


Chosen = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME] [BATCH]...",
        help="Deployment, which may be left out when there is only one; batches, all held ones when left out.",
        show_default=False,
    ),
]


def held(session: Session, name: Name = None) -> None:
    """List the windows whose labels are held, and those that were rejected or released."""
    from monitor.app.doubtful_labels import doubtful_labels

    chosen = pick(session.deployments, name)
    with session.application([chosen]) as app:
        doubts = doubtful_labels(app.store, chosen)
    if session.json:
        output.emit([doubt.to_dict() for doubt in doubts])
        return
    if not doubts:
        output.stdout().print(f"{chosen}: no labels are held")
        return
    from monitor.cli.labels_view import doubts_table

    output.stdout().print(doubts_table(doubts))


def release(session: Session, chosen: Chosen = None, reason: Reason = "by hand") -> None:
    """Say that held labels are right: they are judged and learnt from. All that are held, or the named batches."""
    name, batches = _chosen(session.deployments, chosen or [])
    with session.application([name]) as app:
        changed = app.release_labels(name, batches, reason)
    _tell(session, name, "released", changed)


def reject(session: Session, chosen: Chosen = None, reason: Reason = "by hand") -> None:
    """Say that labels are wrong: they are never learnt from. All that are held, or the named batches."""
    name, batches = _chosen(session.deployments, chosen or [])
    with session.application([name]) as app:
        changed = app.reject_labels(name, batches, reason)
    _tell(session, name, "rejected", changed)


def _chosen(known: Collection[str], words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Read `[NAME] [BATCH]...`: the first word is the deployment if there is one of that name."""
    if words and words[0] in known:
        return words[0], words[1:]
    return pick(known, words[0] if words and len(known) != 1 else None), words


def _tell(session: Session, name: str, done: str, changed: Sequence[Doubt]) -> None:
    if session.json:
        output.emit({"deployment": name, done: [doubt.to_dict() for doubt in changed]})
        return
    for doubt in changed:
        output.stdout().print(f"{name}: labels of {doubt.batch} are {done} ({output.count(doubt.rows, 'row')})")
    if not changed:
        output.stdout().print(f"{name}: no labels are held; nothing was changed")
