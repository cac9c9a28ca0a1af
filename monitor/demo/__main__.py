"""`make run`: the daemon on the deployment `digits`, a feeder that plays the world, and the story on the terminal."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from monitor.domain.version import Alias
from monitor.errors import ConfigError, MonitorError

if TYPE_CHECKING:
    from monitor.bootstrap import Application
    from monitor.demo.story import Story

_DEPLOYMENT = "digits"
_INTERRUPTED = 130  # as shells report a process ended by SIGINT


def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration folder.")] = Path("config"),
    every: Annotated[float, typer.Option(help="Seconds from batch to batch.")] = 3.0,
) -> None:
    """Watch a model for handwritten digits while its scanner goes wrong, until Ctrl-C."""
    console = Console(highlight=False)
    console.print("[bold]Driftloop demo[/]: a model reads handwritten digits; its scanner will fail", soft_wrap=True)
    console.print("Ctrl-C ends it.", soft_wrap=True)
    try:
        _run(console, config, every)
    except MonitorError as exc:
        Console(stderr=True, highlight=False).print(f"demo: {exc}", style="red")
        raise typer.Exit(exc.exit_code) from None
    except KeyboardInterrupt:  # before the daemon has taken over the signal
        raise typer.Exit(_INTERRUPTED) from None


def _run(console: Console, config: Path, every: float) -> None:
    # These take seconds to import; the line above is to be seen at once.
    from monitor.adapters.logging_setup import configure
    from monitor.bootstrap import now_utc, open_application
    from monitor.config.reading import load_deployment, load_settings
    from monitor.config.settings import HttpConfig
    from monitor.demo.feeder import Folder
    from monitor.demo.feeding import Feeder
    from monitor.demo.story import Story, ToldLog
    from monitor.demo.terminal import Terminal

    settings, deployment = load_settings(config), load_deployment(config / "deployments" / f"{_DEPLOYMENT}.yaml")
    if deployment.training is None:
        raise ConfigError(f"{_DEPLOYMENT}: the demo needs `training.path`, to prepare the file")
    folder = settings.path(deployment.training.path).parent
    Folder(folder).prepare(datetime.now(UTC))

    terminal = Terminal(console, now_utc)
    story = Story(terminal, _DEPLOYMENT, deployment.performance.metric)
    with (folder / "daemon.log").open("a", encoding="utf-8") as log_file:
        log = ToldLog(configure("json", settings.log.level, stream=log_file), story)
        app = open_application(config, names=[_DEPLOYMENT], log=log)
        app.settings = settings.model_copy(update={"http": HttpConfig(bind=_free_bind(settings.http.bind, story))})
        try:
            with Feeder(folder, every_seconds=every, say=story.feeder) as feeder:
                story.deployed = feeder.start
                _tell_where_it_stands(app, story)
                app.run(_serving(story, folder / "daemon.log"), listener=story.listener)
        finally:
            terminal.end_progress()
            app.close()


def _tell_where_it_stands(app: Application, story: Story) -> None:
    """After a stop the history goes on: say from where, and let batches come at once."""
    story.open(app.store)
    version = app.store.alias(_DEPLOYMENT, Alias.CHAMPION)
    if version is not None:
        batches = app.store.count_records(_DEPLOYMENT)
        story.say("demo", f"going on where it stopped: {batches} batches in the history, version {version} is deployed")
        story.deployed()


def _serving(story: Story, log_file: Path) -> Callable[[Application], AbstractContextManager[str]]:
    """Serve as the daemon does, and tell where to look, at the start and when there is something to see."""
    from monitor.web.serve import serve

    @contextmanager
    def serving(app: Application) -> Iterator[str]:
        with serve(app) as url:
            commands = ["status", f"history {_DEPLOYMENT}", f"models list {_DEPLOYMENT}"]

            def tell(more: Sequence[str] = ()) -> None:
                story.say("demo", f"where to look: {url}/metrics, {_short(log_file)}, and in another terminal:")
                for command in (*commands, *more):
                    story.say("", f"  {_short(Path(sys.executable).with_name('monitor'))} {command}")

            story.recovered = lambda batch: tell([f"report {_DEPLOYMENT} {batch}"])
            tell()
            yield url

    return serving


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _free_bind(bind: str, story: Story) -> str:
    """Return `bind`, or any free port on the same host when it is taken."""
    from monitor.web.server import parse_bind

    host, port = parse_bind(bind)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            story.say("demo", f"port {port} is taken; another one is used")
            return f"{host}:0"
    return bind


if __name__ == "__main__":
    typer.run(run)
