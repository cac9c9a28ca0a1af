"""Register commands that share `--config`, `--json` and `--debug`, before or after the command's name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from monitor.cli.session import Session

P = ParamSpec("P")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FOLDER",
        help="Configuration folder; else MONITOR_CONFIG, else ./config.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Log everything; show the traceback of an error.")]

_SHARED = {"config": (ConfigOption, None), "json": (JsonOption, False), "debug": (DebugOption, False)}


def session_of(context: typer.Context) -> Session:
    """The one session of this call, made by whoever asks first."""
    root = context.find_root()
    if not isinstance(root.obj, Session):
        root.obj = Session()
    return root.obj


def share(session: Session, *, config: Path | None, json: bool, debug: bool) -> None:
    """Take over options given at one place; those not given there stay as they were."""
    session.config = config if config is not None else session.config
    session.json = session.json or json
    session.debug = session.debug or debug


def command(
    group: typer.Typer, name: str | None = None
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Register a function whose first parameter is the session; its other parameters are the command line."""

    def register(function: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
        @functools.wraps(function)
        def call(context: typer.Context, **given: Any) -> None:
            session = session_of(context)
            share(session, **{option: given.pop(option) for option in _SHARED})
            function(session, **given)  # type: ignore[call-arg]  # typer hands over what the signature below asks for

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
            *(parameter.replace(kind=keyword) for parameter in own),
            *(
                inspect.Parameter(option, keyword, default=default, annotation=annotation)
                for option, (annotation, default) in _SHARED.items()
            ),
        ]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by inspect.signature
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        group.command(name)(call)
        return function

    return register
