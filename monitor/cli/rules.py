"""`rules`: what Prometheus should watch for, written from the deployment files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitor.cli import output
from monitor.cli.session import Session


def rules(
    session: Session,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write them there instead of printing them.")
    ] = None,
) -> None:
    """Print alert and recording rules for Prometheus, made from all deployment files."""
    from monitor.adapters.atomic_files import write_atomically
    from monitor.adapters.prometheus_rules.document import rules_document, rules_text
    from monitor.config.reading import load_deployments, load_settings

    settings = load_settings(session.config_folder)
    deployments = load_deployments(session.config_folder)
    document = rules_document(settings.alerts, deployments)
    if out is None:
        if session.json:
            output.emit(document)
        else:
            typer.echo(rules_text(document), nl=False)
        return
    write_atomically(out, rules_text(document).encode())
    alerts = sum("alert" in rule for group in document["groups"] for rule in group["rules"])
    if session.json:
        output.emit({"file": str(out), "alerts": alerts, "deployments": sorted(deployments)})
    else:
        typer.echo(f"{out}: {output.count(alerts, 'alert')} for {output.count(len(deployments), 'deployment')}")
