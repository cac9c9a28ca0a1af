"""Which former champions a new attempt compares with its candidates."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.app.ports import ModelBundle
from monitor.app.runtime import Champion, Runtime
from monitor.domain.version import Alias, AliasMove, Manifest
from monitor.errors import ArtefactError


def in_force(history: Sequence[AliasMove]) -> list[int]:
    """The champions in their order, the present one last; without those that were taken back."""
    stack: list[int] = []
    for move in history:
        if move.version is not None and stack[-2:-1] == [move.version]:
            stack.pop()  # going back undoes a promotion; going back twice must not go forward again
        elif move.version is not None:
            stack.append(move.version)
    return stack


def earlier_versions(rt: Runtime, champion: Champion) -> list[ModelBundle]:
    """The newest `retrain.earlier` of them, each model once, and not the champion's.

    Of a version that came with the files of a model nobody knows which rows it was fitted on, and what was taken back
    once should not return by itself: neither is among them. Nor are versions of another schema or with damaged files.
    """
    most = rt.config.retrain.earlier
    seen = {_model(champion.bundle.manifest)}
    found: list[ModelBundle] = []
    for version in reversed(in_force(rt.store.alias_history(rt.name, Alias.CHAMPION))):
        manifest = rt.store.manifest(rt.name, version) if len(found) < most else None
        if manifest is None or _model(manifest) in seen or not _comparable(rt, manifest):
            continue
        seen.add(_model(manifest))
        try:
            found.append(rt.artefacts.verify(manifest))
        except ArtefactError as exc:
            rt.log.warning("earlier_version_left_out", deployment=rt.name, version=version, error=str(exc))
    return found


def _model(manifest: Manifest) -> int:
    return manifest.same_model_as or manifest.version


def _comparable(rt: Runtime, manifest: Manifest) -> bool:
    return bool(manifest.lineage.batches) and manifest.schema_fingerprint == rt.schema.fingerprint
