"""Which version is deployed, and when that is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from monitor.adapters.store.sql_store import SqlStore
from monitor.app.retrain_model import Orders
from monitor.bootstrap import open_application
from monitor.domain.version import Alias
from tests.support.project import Project


@dataclass
class Witness:
    """A log that looks, over a connection of its own, at what another process would see at that moment."""

    store: SqlStore | None = None
    moves: list[tuple[str, int, int | None]] = field(default_factory=list)

    def info(self, event: str, **fields: Any) -> None:
        if event in ("promoted", "rolled_back"):
            assert self.store is not None
            self.moves.append((event, fields["version"], self.store.alias("tiny", Alias.CHAMPION)))

    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...


def quiet(share: float, what: str) -> None: ...


def test_a_new_champion_is_told_when_everybody_can_see_it_and_not_before(tmp_path):
    project = Project.create(tmp_path, changes={"gate": {"kind": "off"}})
    for _ in range(2):
        project.add_batch()
    witness = Witness()
    with open_application(project.config, log=witness) as app:
        witness.store = SqlStore(app.settings.store_url)
        app.once()
        assert app.retrain("tiny", Orders(), quiet)["version"] == 2
        app.rollback("tiny", "a look")
        app.promote("tiny", 2, "a look")
        witness.store.close()
    assert witness.moves == [("promoted", 1, 1), ("promoted", 2, 2), ("rolled_back", 1, 1), ("promoted", 2, 2)]
