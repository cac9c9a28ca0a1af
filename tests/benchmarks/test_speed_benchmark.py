"""The benchmark as its user starts it, on its smallest workload and without peers to install."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS, Contender, python_of
from benchmarks.speed import table
from benchmarks.workloads import WORKLOADS, split, tables

PROJECT = Path(__file__).parent.parent.parent


def test_it_prints_a_table_and_writes_its_numbers(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--work", "columns-10", "--repeats", "1", "--results", str(tmp_path)]
    peers = ["--peer", "driftloop", "np.sort + hashing"]
    done = subprocess.run([*command, *peers], cwd=PROJECT, capture_output=True, text=True, check=True)
    rows = json.loads((tmp_path / "speed.json").read_text())
    assert [row["contender"] for row in rows] == ["driftloop", "np.sort + hashing"]
    assert all(row["cpu_seconds"] > 0 and row["versions"]["numpy"] for row in rows)
    assert "| driftloop | " in done.stdout
    assert "Versions" in done.stdout


def test_a_peer_that_cannot_be_installed_is_said_and_the_others_go_on():
    rows = [
        {"work": "W1", "contender": "driftloop", "cpu_seconds": 0.5, "peak_mib": 1.0, "versions": {"numpy": "2"}},
        {"work": "W1", "contender": "frouros", "cpu_seconds": 2.0, "peak_mib": None, "versions": {"numpy": "2"}},
        {"work": "W1", "contender": "nannyml", "error": "not installed: no matching distribution"},
    ]
    text = table(rows)
    assert "| frouros | 2 (4×) |" in text
    assert "| nannyml | – |" in text
    assert "- nannyml on W1: not installed: no matching distribution" in text


def test_every_contender_has_what_it_needs():
    for contender in CONTENDERS.values():
        assert (PROJECT / Path(*contender.module.split(".")).with_suffix(".py")).is_file()
        if contender.environment:
            assert (PROJECT / "benchmarks" / "peers" / contender.environment / "requirements.txt").is_file()
    assert {w.task for w in WORKLOADS.values()} <= set().union(*(c.tasks for c in CONTENDERS.values()))


def test_no_environment_without_requirements():
    with pytest.raises(FileNotFoundError):
        python_of(Contender("nobody", "benchmarks.peers.nobody.compare", "nobody", frozenset(("univariate",))))


def test_a_workload_is_the_same_in_every_process():
    one, other = (tables(WORKLOADS["columns-10"]) for _ in range(2))
    assert all(a.equals(b) for a, b in zip(one, other, strict=True))
    numeric, strings = split(tables(WORKLOADS["rows-10000"])[1])
    assert (len(numeric), len(strings)) == (8, 2)
