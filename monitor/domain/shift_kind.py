"""Which type of shift it is: the inputs, the class shares, or what the labels have to do with the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from monitor.stats.shift_evidence import Evidence

_SURE = 0.001  # p-value
_LIKELY = 0.01
_SURE_Z = 3.0  # standard errors
_MAYBE_Z = 2.0
_REST = 0.25  # of what told the rows apart: so much may be left when other class shares explain it


class ShiftKind(StrEnum):
    """`covariate`: other inputs, P(label | input) as before. `label`: other class shares, P(input | label) as before.

    `concept`: P(label | input) itself; never said without labels.
    """

    COVARIATE = "covariate"
    LABEL = "label"
    CONCEPT = "concept"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRule:
    """`min_effect`: area under the curve less ½ from which on inputs have moved. `min_loss_increase`: relative."""

    min_effect: float
    min_loss_increase: float


def shift_kind(seen: Evidence, rule: KindRule) -> tuple[ShiftKind, str]:
    """The type and, in a sentence, why. What the numbers do not decide is `undecided`."""
    if seen.inputs_p is None or seen.inputs_effect is None:
        return ShiftKind.UNDECIDED, "too few rows to compare"
    if not _moved(seen.inputs_p, seen.inputs_effect, rule):
        return _still(seen, rule)
    if _fits(seen):
        return _like_label_shift(seen, rule)
    unlike = seen.fit_p is None or seen.fit_p < _SURE
    if not seen.labelled or seen.loss is None:
        if unlike and seen.fit_p is not None:
            return ShiftKind.COVARIATE, "the inputs moved, and no other class shares explain how; no labels yet"
        return ShiftKind.UNDECIDED, "the inputs moved; labels will tell whether what they mean has changed"
    return _with_labels(seen, rule, unlike=unlike)


def _still(seen: Evidence, rule: KindRule) -> tuple[ShiftKind, str]:
    if seen.loss is None:
        return ShiftKind.UNDECIDED, "the inputs have not moved, and there are no labels yet"
    if _above(seen.loss, seen.loss_before, seen.loss_z, seen, rule):
        return ShiftKind.CONCEPT, "the loss rose while the inputs stayed as they were"
    return ShiftKind.UNDECIDED, "neither the inputs nor the loss have surely moved"


def _like_label_shift(seen: Evidence, rule: KindRule) -> tuple[ShiftKind, str]:
    if seen.loss is None:
        return ShiftKind.LABEL, "held-out rows with other class shares look like these; no labels yet"
    if seen.relation_z is not None and seen.relation_z < -_SURE_Z:
        if _above(seen.loss, seen.by_inputs, seen.by_inputs_z, seen, rule):
            return ShiftKind.UNDECIDED, "other class shares explain the inputs, but not the labels"
        return ShiftKind.COVARIATE, "the inputs moved, and the labels follow them as before"
    if _above(seen.loss, seen.by_shares, seen.by_shares_z, seen, rule) and not _most(seen.loss, seen.by_shares, seen):
        if _above(seen.loss, seen.by_inputs, seen.by_inputs_z, seen, rule):
            return ShiftKind.CONCEPT, "the loss rose by more than moved inputs or other class shares explain"
        return ShiftKind.UNDECIDED, "other class shares explain the inputs, but not the loss"
    return ShiftKind.LABEL, "held-out rows with other class shares look like these, and have the same loss"


def _with_labels(seen: Evidence, rule: KindRule, *, unlike: bool) -> tuple[ShiftKind, str]:
    """The inputs moved, and not, or not surely, as other class shares would have it."""
    assert seen.loss is not None
    if seen.by_inputs is None:
        return ShiftKind.UNDECIDED, "the inputs are too far from the held-out rows to say what loss they explain"
    if _above(seen.loss, seen.by_inputs, seen.by_inputs_z, seen, rule):
        if unlike or _above(seen.loss, seen.by_shares, seen.by_shares_z, seen, rule):
            return ShiftKind.CONCEPT, "the loss rose by more than the moved inputs explain"
        return ShiftKind.UNDECIDED, "the loss rose by more than the inputs explain, but other class shares might"
    doubts = {
        "the inputs moved, and the labels follow other class shares only in part": (seen.relation_z or 0.0) > _SURE_Z,
        "the loss may have risen by more than the moved inputs explain": _above(
            seen.loss, seen.by_inputs, seen.by_inputs_z, seen, rule, sure=_MAYBE_Z
        ),
        "the inputs moved, and the loss is below what they explain": (seen.by_inputs_z or 0.0) < -_SURE_Z,
    }
    for doubt, holds in doubts.items():
        if holds:
            return ShiftKind.UNDECIDED, doubt
    return ShiftKind.COVARIATE, "the inputs moved, and explain the loss: the labels follow them as before"


def _moved(p_value: float, effect: float, rule: KindRule) -> bool:
    return p_value < _SURE and effect >= rule.min_effect


def _fits(seen: Evidence) -> bool:
    """Have the class shares moved, and is little left that tells the rows apart once the held-out rows have them?"""
    if seen.shares_p is None or seen.shares_p >= _SURE or seen.fit_p is None or seen.fit_effect is None:
        return False
    return seen.fit_p >= _LIKELY or seen.fit_effect <= _REST * (seen.inputs_effect or 0.0)


def _above(
    loss: float, expected: float | None, z: float | None, seen: Evidence, rule: KindRule, *, sure: float = _SURE_Z
) -> bool:
    """Is the loss surely, and by as much as counts, above what was expected? False when that is not known."""
    if expected is None or z is None or seen.loss_before is None:
        return False
    return z > sure and loss - expected >= rule.min_loss_increase * seen.loss_before


def _most(loss: float, expected: float | None, seen: Evidence) -> bool:
    """Is most of the rise of the loss expected? The shares, and so what they explain, are themselves estimates."""
    return expected is not None and loss - expected <= _REST * (loss - (seen.loss_before or 0.0))
