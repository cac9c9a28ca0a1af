"""A standard that is missed: what was promised once, and what is reached."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.app.ports import States
from monitor.app.standard_state import load_standard
from monitor.config.deployment import Deployment
from monitor.domain.standard import WINDOWS


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedStandard:
    """`standard` is the loss per row that `version` promised; performance is known to be worse since batch `since`.

    `reached`: the loss of the last `windows` of `wanted` labelled batches for which no alarm stands, None without any.
    `lasting` once so many are worse than promised: then nothing else tells of it.
    """

    since: str
    version: int
    standard: float
    reached: float | None
    windows: int
    wanted: int
    lasting: bool


def missed_standard(states: States, deployment: Deployment) -> MissedStandard | None:
    """None while it is met."""
    standard = load_standard(states, deployment.name)
    if standard is None or not standard.missed_since:
        return None
    return MissedStandard(
        since=standard.missed_since,
        version=standard.version,
        standard=standard.loss,
        reached=standard.reached,
        windows=len(standard.windows),
        wanted=WINDOWS,
        lasting=standard.restored(deployment.detect.min_loss_increase) is False,
    )
