"""The classes that a deployment's champion tells apart, for whoever receives labels."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.app.ports import Store
from monitor.domain.version import Alias


@dataclass(slots=True)
class KnownClasses:
    """Asks the store for the champion each time, and for its manifest once: label files come by the hundred.

    Safe from any thread.
    """

    store: Store
    deployment: str
    _found: tuple[int, tuple[str, ...]] | None = None

    def __call__(self) -> tuple[str, ...]:
        """Empty without a champion, and for a regression. Raises StoreError."""
        version = self.store.alias(self.deployment, Alias.CHAMPION)
        if version is None:
            return ()
        found = self._found
        if found is None or found[0] != version:
            manifest = self.store.manifest(self.deployment, version)
            found = self._found = version, manifest.classes if manifest else ()
        return found[1]
