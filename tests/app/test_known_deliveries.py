"""What is kept of the ledger between passes is which files are settled, and little of it is asked for again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.app.known_deliveries import SETTLED, KnownDeliveries
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState, LedgerEntry

T0 = datetime(2026, 1, 5, tzinfo=UTC)
LYING = [
    Delivery(locator=f"incoming/{k}", name=f"batch {k}", size=size, modified=T0 + timedelta(seconds=k))
    for k in range(4)
    for size in (1, 2)
]


def entry(id_: int, state: DeliveryState) -> LedgerEntry:
    file = LYING[id_ % 6]
    return LedgerEntry(
        id=id_,
        deployment="tiny",
        kind=DeliveryKind.BATCH,
        locator=file.locator,
        fingerprint=f"content {id_ % 2}",
        name=file.name,
        size=file.size,
        modified=file.modified,
        state=state,
    )


def unsettled(known: KnownDeliveries, lying: list[Delivery]) -> list[Delivery]:
    return [d for d in lying if not known.is_settled(d.locator, d.size, d.modified)]


@given(
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from(DeliveryState)), max_size=12),
    st.lists(st.integers(0, 11), max_size=6),
)
def test_it_agrees_with_the_ledger_as_it_was_read_and_with_what_was_settled_since(before, since):
    ledger = [entry(number, state) for number, state in before]
    known = KnownDeliveries(ledger)
    for number in since:
        ledger.append(entry(number, DeliveryState.DONE))
        known.settle(ledger[-1])
    settled = {(e.locator, e.size, e.modified) for e in ledger if e.state in SETTLED}
    assert unsettled(known, LYING) == [d for d in LYING if (d.locator, d.size, d.modified) not in settled]


def test_a_file_that_was_touched_is_settled_as_it_is_now():
    assert unsettled(KnownDeliveries(), LYING) == LYING
    known = KnownDeliveries([entry(1, DeliveryState.DONE)])
    known.settle(entry(2, DeliveryState.DONE))
    assert unsettled(known, LYING[:4]) == [LYING[0], LYING[3]]
