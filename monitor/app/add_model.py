"""Take in a model that was trained elsewhere: as a candidate, until somebody promotes it.

Of one that is also served elsewhere there are no weights: a version of it is a reference, made of rows with its scores.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from monitor.app.ports import ModelBundle
from monitor.app.runtime import Runtime
from monitor.app.training import new_manifest, publish, staging_folder
from monitor.domain.columns import moments
from monitor.domain.labels import class_codes, classes_of
from monitor.domain.model_reference import ModelReference
from monitor.domain.schema import Label
from monitor.domain.version import Alias, AliasMove, Lineage, Manifest
from monitor.errors import ConfigError

_ORIGIN = "added"


def add_model(rt: Runtime, weights: Path | None, *, code: Path | None, held_out: str | None) -> Manifest:
    """Register the model saved in folder `weights` by the class in `code` (the deployment's own by default).

    It is scored on the labelled rows of `held_out` (a path; by default `training.path`), which it should not have
    been fitted on: they become its reference. Of a model that is served elsewhere they bring its scores, and there are
    neither weights nor code. Raises ConfigError, DataError, and ModelError when it cannot score them.
    """
    path = held_out or (rt.config.training.path if rt.config.training else None)
    if path is None:
        raise ConfigError(f"{rt.name}: give labelled rows that the model was not fitted on (--held-out FILE)")
    with staging_folder(rt) as folder:
        key = "--held-out" if held_out else "training.path"
        manifest = take_in(rt, path, key, folder / "version", _files_of(rt, weights, code), origin=_ORIGIN)
    now = rt.clock()
    move = AliasMove(
        alias=Alias.CANDIDATE,
        version=manifest.version,
        previous=rt.store.alias(rt.name, Alias.CANDIDATE),
        at=now,
        reason=f"added from {weights.name if weights else path}",
    )
    with rt.transaction() as tx:
        tx.add_version(manifest)
        tx.move_alias(rt.name, move)
        tx.add_event(rt.name, now, "model_added", {"version": manifest.version, "code": manifest.code})
    return manifest


def take_in(
    rt: Runtime, path: str, key: str, staged: Path, files: tuple[Path, Path] | None, *, origin: str
) -> Manifest:
    """Publish a version: `files` (weights and code; None: served elsewhere) and the reference from the rows of `path`.

    `key` is where the path is from. The version is still to be entered in the store.
    """
    rows, label = rt.read_labelled(path, key), rt.schema.label
    if label is None:
        raise ConfigError(f"{rt.name}: the schema has no label")
    staged.mkdir()
    if files is not None:
        shutil.copytree(files[0], staged / "weights")
        shutil.copyfile(files[1], staged / "code.py")
    texts = (*rows.column(label.name).to_pylist(), *rt.schema.scores) if label.is_class else ()
    manifest = new_manifest(
        rt,
        origin=origin,
        code=str(files[1]) if files else "",
        code_hash=hashlib.sha256(files[1].read_bytes()).hexdigest() if files else "",
        classes=classes_of(texts, label) if label.is_class else (),
        window_rows=rows.num_rows,
        lineage=Lineage(rows=0),
        held_out_rows=rows.num_rows,
        metrics={},
    )
    reference = _reference(rt, ModelBundle(folder=staged, manifest=manifest), rows, label)
    (staged / "reference.safetensors").write_bytes(reference.to_bytes())
    if math.isfinite(reference.metric_value):
        manifest = replace(manifest, metrics={reference.metric: reference.metric_value})
    return publish(rt, staged, manifest)


def _files_of(rt: Runtime, weights: Path | None, code: Path | None) -> tuple[Path, Path] | None:
    """Weights and code as they lie there; None for a model that is served elsewhere."""
    if rt.config.model.code is None:
        if weights is not None or code is not None:
            raise ConfigError(
                f"{rt.name}: the model is served elsewhere; give rows with its scores (--held-out FILE) only"
            )
        return None
    if weights is None:
        raise ConfigError(f"{rt.name}: which model? give the folder that its save() wrote")
    if not weights.is_dir():
        raise ConfigError(f"{weights}: no such folder; expected what the model's own save() wrote")
    code = code or rt.settings.path(rt.config.model.code)
    if not code.is_file():
        raise ConfigError(f"{code}: no such file; expected the code that saved the model")
    return weights, code


def _reference(rt: Runtime, bundle: ModelBundle, rows: pa.Table, label: Label) -> ModelReference:
    scores = rt.scorer.score(bundle, rows.drop_columns([label.name]))
    classes = bundle.manifest.classes
    column = rows.column(label.name)
    return ModelReference.fit(
        rows,
        rt.schema,
        held_out_scores=scores,
        held_out_target=class_codes(column.to_pylist(), classes) if classes else column.to_numpy(),
        classes=classes,
        metric=rt.config.performance.metric,
        positive=len(classes) - 1,
        times=moments(rows.column(rt.schema.timestamp), rt.schema.timestamp) if rt.schema.timestamp else None,
    )
