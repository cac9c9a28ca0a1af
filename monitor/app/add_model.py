"""Take in a model that was trained elsewhere: as a candidate, until somebody promotes it."""

from __future__ import annotations

import hashlib
import shutil
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


def add_model(rt: Runtime, weights: Path, *, code: Path | None, held_out: str | None) -> Manifest:
    """Register the model saved in folder `weights` by the class in `code` (the deployment's own by default).

    It is scored on the labelled rows of `held_out` (a path; by default `training.path`), which it should not have
    been fitted on: they become its reference. Raises ConfigError, DataError, and ModelError when it cannot score them.
    """
    label = rt.schema.label
    path = held_out or (rt.config.training.path if rt.config.training else None)
    if path is None or label is None:
        raise ConfigError(f"{rt.name}: give labelled rows that the model was not fitted on (--held-out FILE)")
    if not weights.is_dir():
        raise ConfigError(f"{weights}: no such folder; expected what the model's own save() wrote")
    code = code or rt.settings.path(rt.config.model.code)
    if not code.is_file():
        raise ConfigError(f"{code}: no such file; expected the code that saved the model")
    rows = rt.read_labelled(path)
    with staging_folder(rt) as folder:
        staged = folder / "version"
        shutil.copytree(weights, staged / "weights")
        shutil.copyfile(code, staged / "code.py")
        classes = classes_of(rows.column(label.name).to_pylist(), label) if label.is_class else ()
        manifest = new_manifest(
            rt,
            origin=_ORIGIN,
            code=str(code),
            code_hash=hashlib.sha256(code.read_bytes()).hexdigest(),
            classes=classes,
            window_rows=rows.num_rows,
            lineage=Lineage(rows=0),
            held_out_rows=rows.num_rows,
            metrics={},
        )
        reference = _reference(rt, ModelBundle(folder=staged, manifest=manifest), rows, label)
        (staged / "reference.safetensors").write_bytes(reference.to_bytes())
        manifest = publish(rt, staged, manifest)
    now = rt.clock()
    move = AliasMove(
        alias=Alias.CANDIDATE,
        version=manifest.version,
        previous=rt.store.alias(rt.name, Alias.CANDIDATE),
        at=now,
        reason=f"added from {weights.name}",
    )
    with rt.transaction() as tx:
        tx.add_version(manifest)
        tx.move_alias(rt.name, move)
        tx.add_event(rt.name, now, "model_added", {"version": manifest.version, "code": str(code)})
    return manifest


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
