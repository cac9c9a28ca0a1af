"""Code under `models/`: loaded by path, called, and held to its protocol."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.domain.model import Model, Scores
from monitor.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

_METHODS = ("fit", "predict", "save", "load")
_TAIL_CHARACTERS = 4096
_SUM_TOLERANCE = 1e-3  # of a row of probabilities: float32 softmax over many classes is off by less
_RANGE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class ModelCode:
    """A loaded model class. `hash` is the SHA-256 of its source."""

    path: Path
    source: bytes
    hash: str
    model: type[Model]


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """A function of a user's file."""

    path: Path
    source: bytes
    function: Callable[..., Any]


def load_code(path: Path) -> ModelCode:
    """Run the file and return what it calls `Model`: a class with `fit`, `predict`, `save` and `load`.

    The bytes that are hashed are the bytes that run; no bytecode is read or written. It is one file: modules beside it
    cannot be imported, because a version keeps a copy of this file alone. Raises ModelError.
    """
    source, digest, module = _run(path, "model code")
    found = getattr(module, "Model", None)
    if not isinstance(found, type):
        raise ModelError(f"{path}: defines no class `Model`; end the file with `Model = YourClass`")
    if missing := [name for name in _METHODS if not callable(getattr(found, name, None))]:
        raise ModelError(f"{path}: class {found.__name__} lacks {', '.join(missing)}")
    return ModelCode(path, source, digest, found)


def load_function(path: Path, name: str) -> FunctionCode:
    """Run the file as `load_code` does and return its function `name`. Raises ModelError."""
    source, _, module = _run(path, "selection code")
    found = getattr(module, name, None)
    if not callable(found):
        raise ModelError(f"{path}: defines no function `{name}`")
    return FunctionCode(path, source, found)


def _run(path: Path, what: str) -> tuple[bytes, str, ModuleType]:
    try:
        source = path.read_bytes()
    except OSError as exc:
        raise ModelError(f"{path}: {what} cannot be read: {exc.strerror or exc}") from exc
    digest = hashlib.sha256(source).hexdigest()
    module = ModuleType(f"model_{digest[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except Exception as exc:
        raise ModelError(explain(exc, path)) from exc
    return source, digest, module


def load_model(code: ModelCode, weights: Path, trust: Sequence[str]) -> Model:
    """Load saved weights. A class with an attribute `trust` finds the operator's list of types there."""
    if hasattr(code.model, "trust"):
        code.model.trust = tuple(trust)
    return code.model.load(weights)


def predict(model: Model, frame: pd.DataFrame, classes: Sequence[str]) -> Scores:
    """Call `predict` and check the result; raises ModelError naming the first row that is not a prediction."""
    return check_scores(model.predict(frame), len(frame), classes)


def check_scores(raw: Any, rows: int, classes: Sequence[str]) -> Scores:
    """Return `raw` as float64 of shape (rows, classes), or (rows,) without classes. Raises ModelError."""
    try:
        scores = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise ModelError(f"predict returned {type(raw).__name__}, which is not an array of numbers: {exc}") from exc
    wanted = (rows, len(classes)) if classes else (rows,)
    if scores.shape != wanted:
        raise ModelError(f"predict returned shape {scores.shape}, expected {wanted}")
    per_row = scores.reshape(rows, -1)
    _refuse(scores, ~np.isfinite(per_row).all(axis=1), "is not finite")
    if classes:
        outside = (per_row < -_RANGE_TOLERANCE) | (per_row > 1 + _RANGE_TOLERANCE)
        _refuse(scores, outside.any(axis=1), "is outside 0..1")
        _refuse(scores, np.abs(per_row.sum(axis=1) - 1) > _SUM_TOLERANCE, "does not sum to 1")
        scores = scores.clip(0.0, 1.0)
    return scores


def _refuse(scores: Scores, bad: Any, why: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise ModelError(f"predict: the result for row {row + 1} {why}: {scores[row]} ({int(bad.sum())} such rows)")


def explain(exc: BaseException, path: Path, *, private: bool = False) -> str:
    """File, line and error of user code, then the end of the traceback. `private`: without what the error says."""
    own = [frame for frame in traceback.extract_tb(exc.__traceback__) if frame.filename == str(path)]
    if isinstance(exc, SyntaxError) and exc.filename == str(path):
        where = f"line {exc.lineno}"
    else:
        where = f"line {own[-1].lineno}, in {own[-1].name}" if own else "in a library"
    if private:
        return f"{path}, {where}: {type(exc).__name__}, whose text is withheld: there are private columns"
    stack = "".join(traceback.format_exception(exc)).strip()
    return f"{path}, {where}: {type(exc).__name__}: {exc}\n{stack[-_TAIL_CHARACTERS:]}"
