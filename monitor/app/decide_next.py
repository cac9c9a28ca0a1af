"""Ask the policy what to do after a batch."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from monitor.app.label_memory import LabelMemory
from monitor.app.memory import DetectorMemory, RetrainMemory
from monitor.app.runtime import Runtime
from monitor.app.trials import role_in_words
from monitor.config.deployment import Deployment
from monitor.domain.label_trust import Standing
from monitor.domain.policy import Decided, Decision, PolicyRule, Seen, decide, observe
from monitor.domain.trial import Role, Trial


def policy_rule(config: Deployment, window_rows: int) -> PolicyRule:
    """The operator's rule in rows; `window_rows` is what shares of the reference are shares of."""
    retrain = config.retrain
    return PolicyRule(
        enabled=retrain.mode != "off",
        new_labels=max(retrain.min_labels, math.ceil(retrain.when.new_labels * window_rows)),
        min_labels=retrain.min_labels,
        min_batches=retrain.min_batches,
        on_change=retrain.when.change,
        on_distance=retrain.when.distance,
        cooldown_batches=retrain.cooldown,
        max_per_week=retrain.max_per_week,
        max_failures=retrain.max_failures,
    )


def seen_now(
    rt: Runtime,
    memory: RetrainMemory,
    detector: DetectorMemory,
    labels: LabelMemory,
    trial: Trial | None,
    *,
    now: datetime,
    judged: bool,
) -> Seen:
    """Gather what the policy looks at: open alarms by what they may cause, and labels that no attempt has used."""
    actions = rt.config.detect.channels
    rows, batches = labels.count_usable(rt.book)
    return Seen(
        now=now,
        judged=judged,
        alarm=tuple(c.value for c in detector.drifting if actions.of(c) == "retrain"),
        watched=tuple(c.value for c in detector.drifting if actions.of(c) != "retrain"),
        beyond=tuple(c.value for c in detector.beyond),
        new_labels=max(0, rows - memory.rows_used),
        new_batches=max(0, batches - memory.batches_used),
        shadow=role_in_words(trial) if trial is not None and trial.role is Role.CANDIDATE else "",
        on_watch=trial is not None and trial.role is Role.PREDECESSOR and trial.answered,
    )


def decide_next(
    rt: Runtime,
    memory: RetrainMemory,
    detector: DetectorMemory,
    labels: LabelMemory,
    trial: Trial | None,
    *,
    now: datetime,
    judged: bool,
    window_rows: int,
) -> tuple[RetrainMemory, Decided]:
    """Count the batch and decide; a decision to retrain is remembered as pending until the attempt is made."""
    seen = seen_now(rt, memory, detector, labels, trial, now=now, judged=judged)
    policy = observe(memory.policy, seen)
    decided = decide(policy, seen, policy_rule(rt.config, window_rows))
    held = labels.trust.of(Standing.HELD)
    if held and decided.decision in (Decision.IDLE, Decision.WAIT_LABELS):
        asked = f"labels of {len(held)} windows are held: `monitor labels held {rt.name}`"
        decided = replace(decided, decision=Decision.ASK_LABELS, reason=f"{asked}; {decided.reason}")
    pending = decided.trigger if decided.decision is Decision.RETRAIN else None
    return replace(memory, policy=policy, pending=pending), decided
