"""What came of retraining, and of the versions it made."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.adapters.prometheus_rules.alert import SHOWN, Alert, Series, Severity
from monitor.config.deployment import Deployment
from monitor.config.settings import AlertsConfig
from monitor.domain.gate import Outcome
from monitor.domain.policy import Decision


def retrain_alerts(deployment: Deployment, config: AlertsConfig) -> Iterator[Alert]:
    name, series = deployment.name, Series(config.job, deployment.name)
    yield Alert(
        name="ModelRolledBack",
        expr=f"{series.rise('champion_changes_total', SHOWN, event='rolled_back')} > 0",
        severity=Severity.WARNING,
        summary=f"{name}: an earlier version is the champion again",
        description="The version before it was taken back, with its model, reference and detector.",
    )
    if deployment.retrain.mode == "off":
        return
    yield Alert(
        name="RetrainFailed",
        expr=f"{series.highest('last_attempt', outcome='failed')} == 1",
        severity=Severity.WARNING,
        summary=f"{name}: the last attempt to retrain has failed",
        description=(
            "The training code raised, ran out of time or memory, or died, or the rows cannot be trained on. "
            f"`monitor status {name}` says which. The champion stays as it is."
        ),
    )
    yield Alert(
        name="CandidateRejected",
        expr=f"{series.rise('retrain_attempts_total', SHOWN, outcome=Outcome.REJECT.value)} > 0",
        severity=Severity.INFO,
        summary=f"{name}: the gate has rejected a candidate",
        description=(
            "It was worse than the champion on rows that neither was fitted on, or another check refused it. "
            f"The champion stays. `monitor journal {name} --event attempt` says why."
        ),
    )
    yield Alert(
        name="RetrainEscalated",
        expr=f"{series.highest('last_decision', decision=Decision.ESCALATE.value)} == 1",
        severity=Severity.CRITICAL,
        keep=config.keep,
        summary=f"{name}: retraining does not help",
        description="An alarm stands, and attempts did not close it. No more are made for it: a human is needed.",
    )
