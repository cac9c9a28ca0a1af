"""Class labels as codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from monitor.domain.schema import Label, LabelKind
from monitor.errors import DataError

_TWO = 2
_SHOWN = 5


def classes_of(texts: Sequence[str], label: Label, place: Callable[[int], str] = lambda _: "") -> tuple[str, ...]:
    """Distinct class names in the order in which models score them; empty without rows.

    Sorted, numbers by value; the positive class of a binary label comes last, so that its probability is the last
    column, and is among them even when no row has it: a quiet time without a positive row is no other problem. Raises
    DataError when a binary label has more than two classes, counting its positive one; the rarest of the others is
    most likely the one that is wrong, and `place` says where its first row is.
    """
    names = set(texts)
    if names and label.positive is not None:
        if label.positive not in names and len(names) >= _TWO:
            found = _listed(names)
            raise DataError(f"no row has the positive class {label.positive!r}, only {found}", column=label.name)
        names.add(label.positive)
    if label.kind is LabelKind.BINARY and len(names) > _TWO:
        raise DataError(_too_many(names, texts, label.positive, place), column=label.name)
    return tuple(sorted(names, key=lambda name: (name == label.positive, *_order(name))))


def class_codes(texts: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Position of each text in `classes`, −1 for a class the model does not know; shape (n,)."""
    position = {name: code for code, name in enumerate(classes)}
    return np.fromiter((position.get(text, -1) for text in texts), dtype=np.int64, count=len(texts))


def _too_many(names: set[str], texts: Sequence[str], positive: str | None, place: Callable[[int], str]) -> str:
    rows = Counter(texts)
    rarest = min(names - {positive}, key=lambda name: (rows[name], _order(name)))
    where = place(texts.index(rarest))
    return f"a binary label with {len(names)} classes: {_listed(names)}; rarest is {rarest!r}{where and f', {where}'}"


def _listed(names: Iterable[str]) -> str:
    some = sorted(names, key=_order)
    return ", ".join(some[:_SHOWN]) + (", …" if len(some) > _SHOWN else "")


def _order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
