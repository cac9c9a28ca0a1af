"""Real processes on one SQLite file: racing for work, and killed in the middle of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from monitor.adapters.store.sql_store import SqlStore
from monitor.domain.batch import DeliveryKind, DeliveryState

PROJECT = Path(__file__).parents[3]
KILLS = 25


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.adapters.store.racing", *arguments]
    return subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()


def test_processes_that_open_a_new_database_together_make_it_once_and_share_the_work(tmp_path):
    url, entries = f"sqlite:///{tmp_path}/monitor.db", 40
    processes = [start("race", url, str(entries)) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    finished = [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(map(int, finished)) == list(range(entries))  # each by exactly one
    store = SqlStore(url)
    assert store.count_records("shop") == entries
    assert {entry.state for entry in store.entries("shop", DeliveryKind.BATCH)} == {DeliveryState.DONE}


def test_a_kill_at_any_moment_leaves_a_transaction_whole_or_absent(tmp_path):
    """What the dead process had claimed is free for the next one at once, so each batch is there exactly once."""
    url, rng = f"sqlite:///{tmp_path}/monitor.db", np.random.default_rng(20240501)
    store, inside = SqlStore(url), 0
    for _ in range(KILLS):
        process = start("write", url)
        begin(process)
        for _ in range(2 * int(rng.integers(1, 6)) - 1):  # the last line read is a "begin": inside, or just after
            process.stdout.readline()
        process.kill()
        lines = process.communicate(timeout=60)[0].split("\n")
        inside += not lines[-2:-1] or lines[-2].startswith("begin")
        written = [record["number"] for record in store.records("shop")]
        assert written == list(range(len(written)))
        assert [event["batch"] for event in store.events("shop")] == written
        last = (written[-1] if written else 0).to_bytes(4, "big") * 5_000
        assert [store.state("shop", key) for key in ("detector", "policy")] == [last, last] or not written
        states = [entry.state for entry in store.entries("shop", DeliveryKind.BATCH)]
        assert states[: len(written)] == [DeliveryState.DONE] * len(written)
        assert all(store.measures("shop", str(n))[0]["number"] == n for n in written)
    assert inside >= KILLS // 5  # enough kills hit a transaction, or the test shows nothing
