"""What a deployment remembers, kept in memory between passes: it is in the store, and need not be asked for again."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.app.ports import Store, Transaction
from monitor.domain.version import Alias

_LARGEST = 2**18  # bytes


@dataclass(slots=True)
class Kept:
    """States and aliases as the store has them, each asked for once.

    They are written under the deployment's lease alone. So they stay what they are until who holds it changes them
    (`took_effect`), or another process has worked on the deployment (`forget`). Large states are asked for every time:
    they would take much memory, and spare little beside what is done with them.
    """

    store: Store
    _states: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    _aliases: dict[tuple[str, Alias], int | None] = field(default_factory=dict)

    def state(self, deployment: str, key: str) -> bytes | None:
        at = deployment, key
        if at in self._states:
            return self._states[at]
        body = self.store.state(deployment, key)
        self._keep(at, body)
        return body

    def alias(self, deployment: str, alias: Alias) -> int | None:
        at = deployment, alias
        if at not in self._aliases:
            self._aliases[at] = self.store.alias(deployment, alias)
        return self._aliases[at]

    def took_effect(self, tx: Transaction) -> None:
        """After its commit. A version that is no longer deployed has states that nobody asks for again."""
        if tx.moved:
            self.forget()
        for at, body in tx.states.items():
            self._keep(at, body)

    def _keep(self, at: tuple[str, str], body: bytes | None) -> None:
        self._states.pop(at, None)
        if body is None or len(body) <= _LARGEST:
            self._states[at] = body

    def forget(self) -> None:
        """Ask the store again: somebody else may have written, or a transaction has ended nobody knows how."""
        self._states.clear()
        self._aliases.clear()
