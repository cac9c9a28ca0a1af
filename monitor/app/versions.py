"""The versions of a deployment as plain values, for whoever shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.domain.version import Alias, AliasMove, Manifest

if TYPE_CHECKING:
    from monitor.app.ports import Store  # its tables are Arrow's, which `monitor --help` can do without


def aliases_of(store: Store, deployment: str) -> dict[int, list[str]]:
    """Version → the aliases that point to it."""
    found: dict[int, list[str]] = {}
    for alias in Alias:
        version = store.alias(deployment, alias)
        if version is not None:
            found.setdefault(version, []).append(alias.value)
    return found


def champion_manifest(store: Store, deployment: str) -> Manifest | None:
    """None before the first training."""
    version = store.alias(deployment, Alias.CHAMPION)
    return None if version is None else store.manifest(deployment, version)


def plain_versions(store: Store, deployment: str) -> list[dict[str, Any]]:
    aliases = aliases_of(store, deployment)
    return [{**m.to_dict(), "aliases": aliases.get(m.version, [])} for m in store.manifests(deployment)]


def plain_version(store: Store, deployment: str, version: int) -> dict[str, Any] | None:
    """With the moves of the champion that it had a part in; None when it is not known."""
    manifest = store.manifest(deployment, version)
    if manifest is None:
        return None
    moves = [m for m in store.alias_history(deployment, Alias.CHAMPION) if version in (m.version, m.previous)]
    return {
        **manifest.to_dict(),
        "aliases": aliases_of(store, deployment).get(version, []),
        "moves": [plain_move(move) for move in moves],
    }


def plain_move(move: AliasMove) -> dict[str, Any]:
    return {
        "alias": move.alias.value,
        "version": move.version,
        "previous": move.previous,
        "at": move.at.isoformat(),
        "reason": move.reason,
    }
