"""`check-config` and `init`: is the configuration right, and a first one to start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from monitor.cli import output
from monitor.cli.session import Session
from monitor.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from monitor.app.ports import Store
    from monitor.config.deployment import Deployment
    from monitor.config.settings import Settings

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


def check_config(session: Session) -> None:
    """Read the whole configuration and say what a start would find wrong with it; nothing is made or changed."""
    from monitor.config.reading import load_settings

    settings = load_settings(session.config_folder)
    store, errors, warnings = _existing_store(settings, session.config_folder)
    checks = [partial(_can_be_made, settings)]
    trained = partial(_may_be_trained, store, asked=not errors and not warnings)
    with ExitStack() as stack:
        if store is not None:
            stack.callback(store.close)
            checks.append(partial(_fits_champion, store))
        checks.append(partial(_can_be_trained, settings, trained))
        good, wrong = _read_all(session.config_folder, checks)
        warnings += [line for deployment in good for line in _doubts(settings, deployment, trained)]
    errors += wrong
    if not good and not errors:
        warnings.append(f"{session.config_folder / 'deployments'}: no deployments; `monitor init FILE` writes one")
    if session.json:
        names = [deployment.name for deployment in good]
        output.emit({"ok": not errors, "deployments": names, "errors": errors, "warnings": warnings})
    else:
        for deployment in good:
            typer.echo(f"{deployment.name}: ok")
        for line in warnings:
            output.stderr().print(f"warning: {line}", style="yellow", markup=False)
        for line in errors:
            output.stderr().print(f"error: {line}", style="red", markup=False)
    if errors:
        raise typer.Exit(ConfigError.exit_code)


def _read_all(folder: Path, checks: Sequence[Callable[[Deployment], None]]) -> tuple[list[Deployment], list[str]]:
    """Every deployment that is right, and every error of those that are not: not only the first."""
    from monitor.config.reading import load_deployment

    good: list[Deployment] = []
    errors: list[str] = []
    for file in sorted((folder / "deployments").glob("*.yaml")):
        deployment, found = _tried(load_deployment, file)
        if deployment is not None:
            found += [line for check in checks for line in _tried(check, deployment)[1]]
            good += [] if found else [deployment]
        errors += [line if line.startswith(str(file)) else f"{file}: {line}" for line in found]
    return good, errors


def _tried(call: Callable[[_Given], _Made], given: _Given) -> tuple[_Made | None, list[str]]:
    """What it returned, or what is wrong."""
    try:
        return call(given), []
    except ConfigError as exc:
        return None, str(exc).splitlines()


def _existing_store(settings: Settings, folder: Path) -> tuple[Store | None, list[str], list[str]]:
    """The store, if there is one already, with errors and warnings when it cannot be asked."""
    from monitor.adapters.store.sql_store import SqlStore

    try:
        return SqlStore.as_it_is(settings.store_url), [], []
    except ConfigError as exc:
        return None, [f"{folder / 'monitor.yaml'}: {exc}"], []
    except StoreError as exc:
        return None, [], [f"{exc}; whether schemas are those of the deployed versions was not checked"]


def _fits_champion(store: Store, deployment: Deployment) -> None:
    from monitor.app.contract import check_deployed

    check_deployed(store, deployment)


def _may_be_trained(store: Store | None, name: str, *, asked: bool) -> bool:
    """Whether a deployment has a champion. It may have when the store cannot be asked, which is told then."""
    from monitor.app.versions import champion_manifest

    return not asked or (store is not None and champion_manifest(store, name) is not None)


def _can_be_trained(settings: Settings, trained: Callable[[str], bool], deployment: Deployment) -> None:
    """Without a champion the first pass begins with a training."""
    if not trained(deployment.name) and (wrong := _wrong_with_training(settings, deployment)):
        raise ConfigError("\n".join(wrong))


def _wrong_with_training(settings: Settings, deployment: Deployment) -> list[str]:
    training = deployment.training
    return [] if training is None else _wrong_with_labelled(settings, deployment, training.path, "training.path")


def _wrong_with_labelled(settings: Settings, deployment: Deployment, path: str, key: str) -> list[str]:
    from monitor.adapters.labelled_file import labelled_file_problems

    schema = deployment.schema_value
    if schema.label is None:
        return []
    return labelled_file_problems(path if "://" in path else settings.path(path), key, schema, schema.label)


def _can_be_made(settings: Settings, deployment: Deployment) -> None:
    """What only the parts themselves know to be wrong: a cron line, a path template, a package that is missing."""
    from monitor.adapters.adwin import Adwin
    from monitor.adapters.scheduler import trigger_of
    from monitor.adapters.sources import SourceMaker
    from monitor.bootstrap import now_utc

    trigger_of(deployment.schedule)
    if deployment.detect.error_rate == "adwin":
        Adwin()
    SourceMaker(
        config=deployment,
        schema=deployment.schema_value,
        project=settings.project,
        data=settings.data,
        ledger=lambda kind, after: (),
        classes=tuple,
        clock=now_utc,
    ).make()


def _doubts(settings: Settings, deployment: Deployment, trained: Callable[[str], bool]) -> Iterator[str]:
    """What may still come into being: files and folders that are not there now."""
    from monitor.domain.candidates import is_own, own_file

    code = deployment.model.code
    if code is not None and not settings.path(code).is_file():
        yield f"{deployment.name}: model.code {settings.path(code)} is not there"
    for name in deployment.retrain.candidates:
        if is_own(name) and not settings.path(own_file(name)).is_file():
            yield f"{deployment.name}: retrain.candidates: {settings.path(own_file(name))} is not there"
    anchor = deployment.gate.anchor.path
    found = [] if anchor is None else _wrong_with_labelled(settings, deployment, anchor, "gate.anchor.path")
    if trained(deployment.name):  # attempts to retrain read it, too
        found += _wrong_with_training(settings, deployment)
    yield from (f"{deployment.name}: {wrong}" for wrong in found)
    if deployment.batches.path is not None and _missing(settings, deployment.batches.path):
        yield f"{deployment.name}: the folder of batches.path {deployment.batches.path} is not there"
    labels = deployment.labels
    if labels is not None and labels.path is not None and _missing(settings, labels.path):
        yield f"{deployment.name}: the folder of labels.path {labels.path} is not there"


def _missing(settings: Settings, pattern: str) -> bool:
    """Whether the fixed part of a local path or template does not exist; a URL is not asked."""
    if "://" in pattern:
        return False
    parts = Path(pattern).parts
    fixed = next((place for place, part in enumerate(parts) if set(part) & set("*?[{")), len(parts))
    return not settings.path(Path(*parts[:fixed])).exists()


def init(  # noqa: PLR0917 - typer reads the options off the signature
    session: Session,
    file: Annotated[Path, typer.Argument(help="Labelled rows: Parquet, CSV or JSON Lines.", exists=True)],
    name: Annotated[
        str | None, typer.Option("--name", help="Of the deployment; else from the file's name.", show_default=False)
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Column to be predicted; else guessed.", show_default=False)
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--scores",
            metavar="[CLASS=]COLUMN",
            help="The model is served elsewhere: columns with its scores.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write; else CONFIG/deployments/NAME.yaml.", show_default=False),
    ] = None,
) -> None:
    """Look at a file of labelled rows and write a commented deployment for it; an existing one is not touched."""
    from monitor.adapters.inspection import propose_deployment

    chosen = name or _name_of(file)
    path = _as_configured(file, session.config_folder)
    text = propose_deployment(file, name=chosen, path=path, label=label, scores=scores or ())
    target = out or session.config_folder / "deployments" / f"{chosen}.yaml"
    if target.exists():
        raise ConfigError(f"{target}: exists already; give --name or --out, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    if session.json:
        output.emit({"deployment": chosen, "file": str(target)})
    else:
        typer.echo(target)
        output.stderr().print("read it through, then: monitor check-config", style="dim")


def _as_configured(file: Path, config_folder: Path) -> str:
    """Relative to the project folder, so that it can be moved with its data; a file elsewhere by its whole path."""
    project, found = config_folder.resolve().parent, file.resolve()
    return (found.relative_to(project) if found.is_relative_to(project) else found).as_posix()


def _name_of(file: Path) -> str:
    """A valid deployment name made of the file's name."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in file.name.split(".")[0].lower())
    return kept.strip("-")[:63] or "deployment"
