"""What the processes of `test_processes` do. Run as a program: `racing.py race|write URL …`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import count

from monitor.adapters.process_identity import own_identity
from monitor.adapters.store.sql_store import SqlStore
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState

NOW = datetime(2024, 5, 1, tzinfo=UTC)
LATER = datetime(2999, 1, 1, tzinfo=UTC)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def see(store: SqlStore, number: int) -> int:
    delivery = Delivery(locator=f"/in/{number}", name=str(number), size=1, modified=NOW)
    return store.see("shop", DeliveryKind.BATCH, delivery, f"hash{number}").id


def race(store: SqlStore, entries: int) -> None:
    """Claim and finish what can be had; print the batches that were finished."""
    for number in range(entries):
        entry = see(store, number)
        if store.claim(entry, owner=own_identity(), until=LATER):
            with store.transaction() as tx:
                tx.put_record("shop", str(number), {"owner": own_identity()})
                tx.finish(entry, DeliveryState.DONE)
            say(number)


def write(store: SqlStore) -> None:
    """Write one batch after the other until killed, saying so before each transaction and after it."""
    for number in count(store.count_records("shop")):
        entry = see(store, number)
        if not store.claim(entry, owner=own_identity(), until=LATER):
            continue
        say("begin", number)
        with store.transaction() as tx:
            tx.put_record("shop", str(number), {"number": number})
            tx.put_measures("shop", str(number), [{"number": number, "text": "x" * 10_000}])
            tx.put_state("shop", "detector", number.to_bytes(4, "big") * 5_000)
            tx.add_event("shop", NOW, "decision", {"batch": number})
            tx.put_state("shop", "policy", number.to_bytes(4, "big") * 5_000)
            tx.finish(entry, DeliveryState.DONE)
        say("done", number)


if __name__ == "__main__":
    what, url, *rest = sys.argv[1:]
    opened = SqlStore(url)
    say("ready")
    sys.stdin.readline()
    if what == "race":
        race(opened, int(rest[0]))
    else:
        write(opened)
