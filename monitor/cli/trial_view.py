"""Rows of `monitor status` about versions beside the champion."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from monitor.app.trial_status import BesideStatus, TrialStatus
from monitor.cli import output
from monitor.domain.trial import Role


def beside_rows(beside: BesideStatus, deployment: str) -> Iterator[tuple[str, Text]]:
    """Heading and text; nothing is said where there is nothing."""
    if beside.trial is not None:
        yield "on trial", _trial(beside.trial)
    if beside.candidate is not None and (beside.trial is None or beside.trial.role is Role.PREDECESSOR):
        yield (
            "candidate",
            Text(
                f"version {beside.candidate} waits: monitor models promote {deployment} {beside.candidate}",
                style="yellow",
            ),
        )
    if (last := beside.last_trial) is not None:
        text = output.verdict_text(last.finding)
        said = f"  version {last.version}, {output.moment(last.at)}: {last.reason}"
        yield "last trial", text.append(said, style="default not bold")


def _trial(trial: TrialStatus) -> Text:
    watched = trial.role is Role.PREDECESSOR
    what = f"version {trial.champion} on watch beside its predecessor" if watched else "in shadow beside the champion"
    text = Text(f"{what}, version {trial.other}: " if watched else f"version {trial.other} {what}: ")
    text.append(f"{trial.windows} of {output.count(trial.wanted, 'labelled batch')}")
    if trial.champion_loss is not None:
        text.append(f"; loss {output.number(trial.champion_loss, 4)} of version {trial.champion}", style="dim")
        text.append(f", {output.number(trial.other_loss, 4)} of version {trial.other}", style="dim")
    return text
