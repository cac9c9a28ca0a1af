"""`token new`: who may call the daemon over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from monitor.cli import output
from monitor.cli.session import Session


def new(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will use it: letters, digits, - and _.")],
    role: Annotated[
        str, typer.Option("--role", help="read looks, ingest delivers, operate may do everything.")
    ] = "read",
) -> None:
    """Make a token and print it, this once, with the lines for `monitor.yaml`, which hold only its hash."""
    from pydantic import ValidationError

    from monitor.config.settings import TokenConfig
    from monitor.errors import ConfigError
    from monitor.web.tokens import hash_token, new_token

    token = new_token()
    try:
        config = TokenConfig.model_validate({"name": name, "role": role, "sha256": hash_token(token)})
    except ValidationError as exc:
        raise ConfigError("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in exc.errors())) from None
    plain = config.model_dump()
    if session.json:
        output.emit({"token": token, **plain})
        return
    typer.echo(token)
    lines = ", ".join(f"{key}: {value}" for key, value in plain.items())
    output.stderr().print(
        f"It is not shown again. For monitor.yaml:\n\nhttp:\n  tokens:\n    - {{{lines}}}", soft_wrap=True
    )
