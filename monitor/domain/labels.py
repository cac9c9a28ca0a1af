"""Class labels as codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from monitor.domain.schema import Label, LabelKind
from monitor.errors import DataError

_TWO = 2


def classes_of(texts: Iterable[str], label: Label) -> tuple[str, ...]:
    """Distinct class names in the order in which models score them.

    Sorted, numbers by value; the positive class of a binary label comes last, so that its probability is the last
    column. Raises DataError when a binary label has more than two classes or lacks its positive one.
    """
    names = sorted(set(texts), key=_order)
    if label.kind is LabelKind.BINARY and len(names) > _TWO:
        raise DataError(f"a binary label with {len(names)} classes: {', '.join(names[:5])} …", column=label.name)
    if label.positive is not None and names:
        if label.positive not in names:
            raise DataError(f"no row has the positive class {label.positive!r}", column=label.name)
        names.remove(label.positive)
        names.append(label.positive)
    return tuple(names)


def class_codes(texts: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Position of each text in `classes`, −1 for a class the model does not know; shape (n,)."""
    position = {name: code for code, name in enumerate(classes)}
    return np.fromiter((position.get(text, -1) for text in texts), dtype=np.int64, count=len(texts))


def _order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
