"""`models …`: the versions of a deployment, which of them is the champion, and how to change that."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.app.versions import aliases_of, plain_move
from monitor.cli import output
from monitor.cli.arguments import Name, NameThen, Reason
from monitor.cli.session import Session, pick, pick_with
from monitor.domain.version import Alias
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.bootstrap import Application
    from monitor.domain.version import AliasMove, Manifest

Version = Annotated[str | None, typer.Argument(metavar="VERSION", help="Number, as `models list` shows it.")]


def list_(
    session: Session,
    name: Name = None,
    trained_on: Annotated[
        str | None, typer.Option("--trained-on", metavar="BATCH", help="Only those fitted on rows of this batch.")
    ] = None,
) -> None:
    """List the versions with what they were trained on and how good they were; the champion is marked."""
    chosen = pick(session.deployments, name)
    with session.application([chosen]) as app:
        manifests = app.store.manifests(chosen)
        if trained_on is not None:
            manifests = [m for m in manifests if trained_on in m.lineage.batches]
        aliases = aliases_of(app.store, chosen)
        metric = app.deployments[chosen].performance.metric
    if session.json:
        output.emit([{**m.to_dict(), "aliases": aliases.get(m.version, [])} for m in manifests])
        return
    if not manifests and trained_on is not None:
        output.stderr().print(f"{chosen}: no version was fitted on rows of {trained_on}")
        return
    if not manifests:
        output.stderr().print(f"{chosen}: no version yet; the first one is trained by `monitor once` or `monitor run`")
        return
    from monitor.cli.models_view import versions_table

    output.stdout().print(versions_table(manifests, aliases, metric, datetime.now(UTC)))


def show(session: Session, first: NameThen, second: Version = None) -> None:
    """Show all that is recorded about a version: data, code, parameters, metrics, files."""
    name, text = pick_with(session.deployments, first, second)
    with session.application([name]) as app:
        manifest = _version(app, name, text)
        aliases = aliases_of(app.store, name).get(manifest.version, [])
        moves = [
            m for m in app.store.alias_history(name, Alias.CHAMPION) if manifest.version in (m.version, m.previous)
        ]
    if session.json:
        output.emit({**manifest.to_dict(), "aliases": aliases, "moves": [plain_move(move) for move in moves]})
        return
    from monitor.cli.models_view import version_page

    output.stdout().print(version_page(manifest, aliases, moves))


def add(
    session: Session,
    first: NameThen,
    second: Annotated[str | None, typer.Argument(metavar="WEIGHTS", help="Folder written by the model's save.")] = None,
    code: Annotated[
        Path | None,
        typer.Option(
            "--code", exists=True, dir_okay=False, help="Its code; else the deployment's.", show_default=False
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option("--held-out", help="Labelled rows it was not trained on; else training.path.", show_default=False),
    ] = None,
) -> None:
    """Take in a model that was trained elsewhere as a new version, the candidate until it is promoted.

    One that is served elsewhere has no WEIGHTS: NAME and --held-out, rows with its scores, are all there is.
    """
    alone = second is None and first in session.deployments
    name, folder = (first, first) if alone else pick_with(session.deployments, first, second)
    with session.application([name]) as app:
        weights = None if alone and app.deployments[name].model.code is None else Path(folder)
        manifest = app.add_model(name, weights, code=code, held_out=held_out)
        aliases = aliases_of(app.store, name).get(manifest.version, [])
    if session.json:
        output.emit({**manifest.to_dict(), "aliases": aliases})
        return
    said = f", the {' and '.join(aliases)}" if aliases else ""
    output.stdout().print(f"{name}: added as version {manifest.version}{said}")
    output.stderr().print(f"deploy it with: monitor models promote {name} {manifest.version}", style="dim")


def promote(session: Session, first: NameThen, second: Version = None, reason: Reason = "by hand") -> None:
    """Make a version the champion: its model, reference and detector take over together."""
    name, text = pick_with(session.deployments, first, second)
    with session.application([name]) as app:
        manifest = _version(app, name, text)
        already = app.store.alias(name, Alias.CHAMPION) == manifest.version
        move = app.promote(name, manifest.version, reason)
    if already and not session.json:
        output.stdout().print(f"{name}: version {manifest.version} is the champion already; nothing was changed")
        return
    _moved(session, name, move)


def rollback(session: Session, name: Name = None, reason: Reason = "by hand") -> None:
    """Go back to the champion before this one."""
    chosen = pick(session.deployments, name)
    with session.application([chosen]) as app:
        move = app.rollback(chosen, reason)
    _moved(session, chosen, move)


def _moved(session: Session, name: str, move: AliasMove) -> None:
    if session.json:
        output.emit({"deployment": name, **plain_move(move)})
        return
    before = "" if move.previous is None else f", before that version {move.previous}"
    output.stdout().print(f"{name}: the {move.alias.value} is version {move.version}{before}")


def _version(app: Application, name: str, text: str) -> Manifest:
    manifests = {str(m.version): m for m in app.store.manifests(name)}
    manifest = manifests.get(text.removeprefix("v"))
    if manifest is None:
        raise ConfigError(f"{name}: no version {text!r}; known are {', '.join(manifests) or 'none'}")
    return manifest
