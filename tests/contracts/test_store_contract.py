"""What every `Store` promises."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from monitor.adapters.process_identity import own_identity
from monitor.app.ports import Store
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState, Window
from monitor.domain.version import Alias, AliasMove, Lineage, Manifest
from monitor.errors import BusyError, StoreError

T0 = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = datetime(2999, 1, 1, tzinfo=UTC)
BATCH = DeliveryKind.BATCH
DELIVERY = Delivery(locator="/in/day/1.parquet", name="day/1", size=12, modified=T0)
MANIFEST = Manifest(
    deployment="shop",
    version=1,
    created=T0,
    origin="initial",
    schema_fingerprint="ab",
    code="models/a.py",
    code_hash="cd",
    params={"hidden": [64, 32]},
    seed=3,
    classes=("DOWN", "UP"),
    window_rows=100,
    lineage=Lineage(rows=3, batches={"a": 3}, rows_digest="ef", first=T0, last=T0 + HOUR),
    held_out_rows=20,
    metrics={"roc_auc": 0.8},
)


def see(store: Store, number: int = 1) -> int:
    delivery = replace(DELIVERY, locator=f"/in/{number}", name=str(number))
    return store.see("shop", BATCH, delivery, f"hash{number}").id


def dead_identity() -> str:
    """Owner string of a process of this host that has ended."""
    program = "from monitor.adapters.process_identity import own_identity; print(own_identity())"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout.strip()


# ledger


def test_a_delivery_is_entered_once_and_its_size_and_time_are_refreshed(store: Store):
    first = store.see("shop", BATCH, DELIVERY, "aa")
    touched = replace(DELIVERY, modified=T0 + HOUR, size=13)
    again = store.see("shop", BATCH, touched, "aa")
    assert (first.state, first.window, first.reason) == (DeliveryState.SEEN, None, "")
    assert again == replace(first, modified=T0 + HOUR, size=13)
    assert list(store.entries("shop", BATCH)) == [again]


def test_other_content_place_kind_or_deployment_is_another_entry(store: Store):
    entries = [
        store.see("shop", BATCH, DELIVERY, "aa"),
        store.see("shop", BATCH, DELIVERY, "bb"),
        store.see("shop", BATCH, replace(DELIVERY, locator="/other"), "aa"),
        store.see("shop", DeliveryKind.LABELS, DELIVERY, "aa"),
        store.see("bank", BATCH, DELIVERY, "aa"),
    ]
    assert len({entry.id for entry in entries}) == 5
    assert list(store.entries("shop", BATCH)) == entries[:3]  # in the order in which they were first seen
    assert list(store.entries("shop", BATCH, after=entries[0].id)) == entries[1:3]
    assert list(store.entries("shop", DeliveryKind.LABELS)) == [entries[3]]
    assert list(store.matching("shop", BATCH, locator="/other", fingerprint="bb")) == entries[1:3]
    assert list(store.matching("shop", BATCH, fingerprint="aa")) == [entries[0], entries[2]]
    assert list(store.matching("shop", BATCH, name=DELIVERY.name)) == entries[:3]
    assert list(store.matching("shop", BATCH, name="another")) == []


def test_times_come_back_aware_and_in_utc(store: Store):
    east = T0.astimezone(timezone(timedelta(hours=5)))
    entry = store.see("shop", BATCH, replace(DELIVERY, modified=east), "aa")
    assert entry.modified == T0
    assert entry.modified.utcoffset() == timedelta(0)


def test_a_claim_excludes_others_until_it_runs_out(store: Store):
    entry = see(store)
    assert store.claim(entry, owner="a", until=LATER)
    assert store.claim(entry, owner="a", until=LATER)
    assert not store.claim(entry, owner="b", until=LATER)
    assert store.entries("shop", BATCH)[0].state is DeliveryState.CLAIMED
    assert store.claim(entry, owner="a", until=T0)
    assert store.claim(entry, owner="b", until=LATER)
    assert not store.claim(entry, owner="a", until=LATER)


def test_the_claim_of_a_dead_process_is_free_and_that_of_a_living_one_is_not(store: Store):
    entry = see(store)
    assert store.claim(entry, owner=dead_identity(), until=LATER)
    assert store.claim(entry, owner=own_identity(), until=LATER)
    assert not store.claim(entry, owner="b", until=LATER)


def test_what_is_finished_cannot_be_claimed_or_finished_again(store: Store):
    entry = see(store)
    store.claim(entry, owner="a", until=LATER)
    window = Window(T0, T0 + HOUR)
    with store.transaction() as tx:
        tx.finish(entry, DeliveryState.BAD, reason="too many bad rows", window=window)
    found = store.entries("shop", BATCH)[0]
    assert (found.state, found.reason, found.window) == (DeliveryState.BAD, "too many bad rows", window)
    assert not store.claim(entry, owner="a", until=LATER)
    with pytest.raises(BusyError, match="bad already"), store.transaction() as tx:
        tx.put_record("shop", "1", {"rows": 1})
        tx.finish(entry, DeliveryState.DONE)
    assert store.record("shop", "1") is None
    assert store.see("shop", BATCH, replace(DELIVERY, locator="/in/1", name="1"), "hash1").state is DeliveryState.BAD


def test_an_entry_can_be_given_back(store: Store):
    entry = see(store)
    store.claim(entry, owner="a", until=LATER)
    with store.transaction() as tx:
        tx.finish(entry, DeliveryState.SEEN, reason="the source did not answer")
    assert store.claim(entry, owner="b", until=LATER)


def test_entries_are_looked_through_from_the_newest_backwards(store: Store):
    seen = [store.see("shop", BATCH, replace(DELIVERY, locator=f"/in/{n}"), f"hash{n}") for n in range(5)]
    store.see("bank", BATCH, DELIVERY, "other")
    assert store.latest_entries("shop", BATCH, last=2) == seen[3:]
    assert store.latest_entries("shop", BATCH, last=2, before=seen[3].id) == seen[1:3]
    assert store.latest_entries("shop", BATCH, last=9, before=seen[1].id) == seen[:1]
    assert store.latest_entries("shop", DeliveryKind.LABELS, last=9) == []


def test_what_waits_is_counted_and_copies_are_no_arrivals(store: Store):
    assert (store.count_waiting("shop", BATCH), store.arrivals("shop", BATCH, last=9)) == (0, [])
    entries = [
        store.see("shop", BATCH, replace(DELIVERY, locator=f"/in/{n}", modified=T0 + n * HOUR), f"hash{n}").id
        for n in range(5)
    ]
    store.claim(entries[1], owner="a", until=LATER)
    states = {2: DeliveryState.DONE, 3: DeliveryState.DUPLICATE, 4: DeliveryState.REPLACED}
    with store.transaction() as tx:
        for n, state in states.items():
            tx.finish(entries[n], state)
    assert store.count_waiting("shop", BATCH) == 2
    assert store.arrivals("shop", BATCH, last=9) == [T0 + n * HOUR for n in (2, 1, 0)]
    assert store.arrivals("shop", BATCH, last=1) == [T0 + 2 * HOUR]
    assert store.count_waiting("shop", DeliveryKind.LABELS) == store.count_waiting("elsewhere", BATCH) == 0
    assert store.arrivals("elsewhere", BATCH, last=9) == []


def test_an_unknown_entry_is_a_lookup_error(store: Store):
    with pytest.raises(LookupError, match="no ledger entry 7"):
        store.claim(7, owner="a", until=LATER)
    with pytest.raises(LookupError, match="no ledger entry 7"), store.transaction() as tx:
        tx.finish(7, DeliveryState.DONE)


def test_of_many_threads_one_enters_and_one_claims(store: Store):
    with ThreadPoolExecutor(8) as pool:
        entries = set(pool.map(lambda _: see(store), range(16)))
        (entry,) = entries
        claims = list(pool.map(lambda n: store.claim(entry, owner=f"thread{n}", until=LATER), range(16)))
    assert sum(claims) == 1


# leases


def test_a_lease_excludes_others_until_it_runs_out_or_is_released(store: Store):
    def acquire(owner: str, now: datetime) -> str | None:
        return store.acquire_lease("shop", owner=owner, now=now, until=now + HOUR)

    assert acquire("a", T0) is None
    assert store.lease_holder("shop", now=T0) == "a"
    assert store.lease_holder("shop", now=T0 + 2 * HOUR) is None
    assert store.lease_holder("bank", now=T0) is None
    assert acquire("b", T0) == "a"
    assert acquire("a", T0 + HOUR / 2) is None  # renewed
    assert acquire("b", T0 + HOUR) == "a"
    assert acquire("b", T0 + 2 * HOUR) is None
    store.release_lease("shop", owner="a")  # not its own any more
    assert acquire("a", T0 + 2 * HOUR) == "b"
    store.release_lease("shop", owner="b")
    assert acquire("a", T0 + 2 * HOUR) is None
    assert store.acquire_lease("bank", owner="b", now=T0, until=T0 + HOUR) is None


def test_the_lease_of_a_dead_process_is_free(store: Store):
    dead = dead_identity()
    assert store.acquire_lease("shop", owner=dead, now=T0, until=LATER) is None
    assert store.lease_holder("shop", now=T0) is None
    assert store.acquire_lease("shop", owner=own_identity(), now=T0, until=LATER) is None
    assert store.acquire_lease("shop", owner=dead, now=T0, until=LATER) == own_identity()


# transactions


def test_a_transaction_takes_effect_whole_or_not_at_all(store: Store):
    entry = see(store)

    def write(rows: int) -> None:
        with store.transaction() as tx:
            tx.finish(entry, DeliveryState.DONE)
            tx.put_record("shop", "1", {"rows": rows})
            tx.put_measures("shop", "1", [{"measure": "ks"}])
            tx.put_state("shop", "detector", b"\x00\xff")
            tx.add_event("shop", T0, "decision", {"decision": "idle"})
            tx.add_version(MANIFEST)
            tx.move_alias("shop", AliasMove(alias=Alias.CHAMPION, version=1, previous=None, at=T0, reason="first"))
            if rows < 0:
                raise KeyError("on purpose")

    with pytest.raises(KeyError, match="on purpose"):
        write(-1)
    assert store.entries("shop", BATCH)[0].state is DeliveryState.SEEN
    assert (store.records("shop"), store.measures("shop", "1"), store.events("shop")) == ([], [], [])
    assert (store.state("shop", "detector"), store.manifests("shop")) == (None, [])
    assert (store.alias("shop", Alias.CHAMPION), store.alias_history("shop", Alias.CHAMPION)) == (None, [])
    write(5)
    assert store.entries("shop", BATCH)[0].state is DeliveryState.DONE
    assert store.record("shop", "1") == {"rows": 5}
    assert store.measures("shop", "1") == [{"measure": "ks"}]
    assert store.state("shop", "detector") == b"\x00\xff"
    (event,) = store.events("shop")
    assert event == {"number": event["number"], "at": T0.isoformat(), "event": "decision", "decision": "idle"}
    assert store.alias("shop", Alias.CHAMPION) == 1


# history


def test_replacing_a_record_keeps_its_place(store: Store):
    for batch, rows in (("a", 1), ("b", 2), ("c", 3), ("a", 4)):
        with store.transaction() as tx:
            tx.put_record("shop", batch, {"batch": batch, "rows": rows})
            tx.put_record("bank", batch, {})
    assert [(r["batch"], r["rows"]) for r in store.records("shop")] == [("a", 4), ("b", 2), ("c", 3)]
    assert [r["batch"] for r in store.records("shop", last=2)] == ["b", "c"]
    assert store.records("shop", last=0) == []
    assert [r["batch"] for r in store.records("shop", last=1, before="c")] == ["b"]
    assert [r["batch"] for r in store.records("shop", before="c")] == ["a", "b"]
    assert store.records("shop", before="a") == store.records("shop", before="never") == []
    assert store.count_records("shop") == 3
    assert store.record("shop", "nothing") is None
    assert store.records("nobody") == []


def test_records_are_strict_json(store: Store):
    record = {
        "psi": float("nan"),
        "high": float("inf"),
        "parts": ({"p": np.float64("nan")}, np.float32(0.5), np.int64(3)),
        "at": T0,
        "name": "Ωmega\x00",
        "kind": BATCH,
    }
    with store.transaction() as tx:
        tx.put_record("shop", "a", record)
        tx.put_measures("shop", "a", [record])
    expected = {
        "psi": None,
        "high": None,
        "parts": [{"p": None}, 0.5, 3],
        "at": T0.isoformat(),
        "name": "Ωmega\x00",
        "kind": "batch",
    }
    assert store.record("shop", "a") == expected
    assert store.measures("shop", "a") == [expected]
    with pytest.raises(TypeError, match="object cannot be stored"), store.transaction() as tx:
        tx.put_record("shop", "b", {"x": object()})


def test_states_and_measures_are_replaced(store: Store):
    for n in range(2):
        with store.transaction() as tx:
            tx.put_state("shop", "policy", bytes([n]))
            tx.put_state("bank", "policy", b"other")
            tx.put_measures("shop", "a", [{"n": n}])
    assert store.state("shop", "policy") == b"\x01"
    assert store.measures("shop", "a") == [{"n": 1}]
    assert store.state("shop", "nothing") is None
    assert store.measures("shop", "nothing") == []


def test_events_come_oldest_first_by_name_and_by_number(store: Store):
    for n, event in enumerate(("decision", "promotion", "decision", "decision")):
        with store.transaction() as tx:
            tx.add_event("shop", T0 - n * HOUR, event, {"n": n})
    assert [e["n"] for e in store.events("shop")] == [0, 1, 2, 3]
    assert [e["n"] for e in store.events("shop", event="decision", last=2)] == [2, 3]
    assert store.events("bank") == []
    numbers = [e["number"] for e in store.events("shop")]
    assert numbers == sorted(set(numbers))
    assert [e["n"] for e in store.events("shop", event="decision", last=1, before=numbers[3])] == [2]
    assert store.events("shop", before=numbers[0]) == []
    with pytest.raises(ValueError, match=r"must not|reserved"), store.transaction() as tx:
        tx.add_event("shop", T0, "decision", {"at": "lost"})


# versions


def test_a_manifest_comes_back_as_it_was(store: Store):
    assert store.next_version("shop") == 1
    second = replace(MANIFEST, version=2, parent=1, origin="retrain", lineage=Lineage(rows=0))
    for manifest in (second, MANIFEST):
        with store.transaction() as tx:
            tx.add_version(manifest)
    assert store.manifests("shop") == [MANIFEST, second]
    assert store.manifest("shop", 2) == second
    assert store.manifest("shop", 3) is None
    assert (store.next_version("shop"), store.next_version("bank")) == (3, 1)
    with pytest.raises(StoreError), store.transaction() as tx:
        tx.add_version(MANIFEST)


def move(version: int | None, previous: int | None, reason: str = "") -> AliasMove:
    return AliasMove(alias=Alias.CHAMPION, version=version, previous=previous, at=T0, reason=reason)


def test_an_alias_moves_only_from_where_it_is(store: Store):
    with store.transaction() as tx:
        for version in (1, 2):
            tx.add_version(replace(MANIFEST, version=version))
    moves = [move(1, None, "first"), move(2, 1, "better"), move(None, 2, "gone"), move(1, None, "back")]
    for one in moves:
        with store.transaction() as tx:
            tx.move_alias("shop", one)
        assert store.alias("shop", Alias.CHAMPION) == one.version
    for wrong in (move(2, None), move(2, 2)):
        with pytest.raises(BusyError, match="any more"), store.transaction() as tx:
            tx.move_alias("shop", wrong)
    with pytest.raises(StoreError), store.transaction() as tx:
        tx.move_alias("shop", move(9, 1))
    assert store.alias_history("shop", Alias.CHAMPION) == moves
    assert store.alias("shop", Alias.CANDIDATE) is None
    assert store.alias_history("bank", Alias.CHAMPION) == []


# times


def test_naive_times_are_refused(store: Store):
    naive = T0.replace(tzinfo=None)
    entry = see(store)
    with pytest.raises(ValueError, match="naive"):
        store.claim(entry, owner="a", until=naive)
    with pytest.raises(ValueError, match="naive"):
        store.acquire_lease("shop", owner="a", now=naive, until=LATER)
    with pytest.raises(ValueError, match="naive"):
        store.acquire_lease("shop", owner="a", now=T0, until=naive)
    with pytest.raises(ValueError, match="naive"), store.transaction() as tx:
        tx.add_event("shop", naive, "decision", {})
    with store.transaction() as tx:
        tx.add_version(MANIFEST)
    with pytest.raises(ValueError, match="naive"), store.transaction() as tx:
        tx.move_alias("shop", replace(move(1, None), at=naive))
    assert store.alias("shop", Alias.CHAMPION) is None


def test_ping_answers(store: Store):
    store.ping()
