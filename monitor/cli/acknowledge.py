"""`acknowledge`: say that an alarm was seen, so that it closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import output
from monitor.cli.arguments import Name, Reason
from monitor.cli.session import Session, pick
from monitor.domain.verdict import Channel

if TYPE_CHECKING:
    from monitor.app.acknowledge import Acknowledged


def acknowledge(
    session: Session,
    name: Name = None,
    channel: Annotated[
        Channel | None,
        typer.Option("--channel", help="Only this channel's alarm; all that stand when left out.", show_default=False),
    ] = None,
    reason: Reason = "by hand",
) -> None:
    """Close the standing alarm: what the data have moved to is ordinary from now on; safe beside the daemon."""
    chosen = pick(session.deployments, name)
    with session.application([chosen]) as app:
        closed = app.acknowledge(chosen, channel, reason)
    if session.json:
        output.emit({"deployment": chosen, "reason": reason, "closed": [one.to_dict() for one in closed]})
        return
    for one in closed:
        output.stdout().print(f"{chosen}: the alarm on {one.channel.value} is closed{_alarm(one)}")
    if not closed:
        where = "" if channel is None else f" on {channel.value}"
        output.stdout().print(f"{chosen}: no alarm is open{where}; nothing was changed")


def _alarm(one: Acknowledged) -> str:
    parts = [part for part in (one.alarm, ", ".join(one.columns)) if part]
    return f" ({'; '.join(parts)})" if parts else ""
