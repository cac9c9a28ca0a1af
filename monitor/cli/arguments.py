"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="Deployment; may be left out when there is only one.", show_default=False),
]
NameOrAll = Annotated[
    str | None, typer.Argument(metavar="NAME", help="Deployment; all when left out.", show_default=False)
]
NamesOrAll = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Deployments; all when left out.", show_default=False)
]
NameThen = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Deployment; may be left out when there is only one.", show_default=False),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]
