"""What is kept of the ledger between passes is what the ledger says, and little of it is asked for again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from monitor.app.known_deliveries import SETTLED, KnownDeliveries
from monitor.domain.batch import DeliveryKind, DeliveryState, LedgerEntry

T0 = datetime(2026, 1, 5, tzinfo=UTC)


def entry(id_: int, state: DeliveryState) -> LedgerEntry:
    return LedgerEntry(
        id=id_,
        deployment="tiny",
        kind=DeliveryKind.BATCH,
        locator=f"incoming/{id_ % 3}",
        fingerprint=f"content {id_ % 2}",
        name=f"batch {id_}",
        size=1,
        modified=T0,
        state=state,
        reason="",
        window=None,
    )


@given(st.lists(st.lists(st.tuples(st.integers(0, 11), st.sampled_from(DeliveryState)), max_size=4), max_size=6))
def test_it_agrees_with_the_ledger_after_every_pass(passes):
    ledger: dict[int, LedgerEntry] = {}
    known = KnownDeliveries()
    for changes in passes:
        for number, state in changes:  # a new entry, or another state of one that is open
            id_ = number + 1 if number + 1 in ledger else len(ledger) + 1
            if id_ not in ledger or ledger[id_].state not in SETTLED:
                ledger[id_] = entry(id_, state)
        known.update([e for e in ledger.values() if e.id > known.settled_to])
        for locator in {e.locator for e in ledger.values()}:
            assert known.of_file(locator) == [e for e in ledger.values() if e.locator == locator]
        for content in {e.fingerprint for e in ledger.values()}:
            assert known.of_content(content) == [e for e in ledger.values() if e.fingerprint == content]
        still_open = [e.id for e in ledger.values() if e.state not in SETTLED]
        assert known.settled_to == min(still_open, default=len(ledger) + 1) - 1


def test_what_becomes_of_an_entry_takes_its_place():
    known = KnownDeliveries()
    seen = entry(1, DeliveryState.SEEN)
    known.add(seen)
    known.add(replace(seen, state=DeliveryState.DONE))
    assert known.of_file(seen.locator) == [replace(seen, state=DeliveryState.DONE)]
    assert known.has_name(seen.name)
    assert not known.has_name("another")
