"""`python -m benchmarks [speed] [--quick] …` or `python -m benchmarks detection …`: see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

from benchmarks import speed
from benchmarks.contenders import CONTENDERS
from benchmarks.workloads import WORKLOADS


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["detection"]:
        sys.argv[1:] = arguments[1:]
        runpy.run_module("benchmarks.detection", run_name="__main__", alter_sys=True)
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed beside the peers, on one core.")
    parser.add_argument("--quick", action="store_true", help="small workloads, only what is cheap to install")
    parser.add_argument("--work", nargs="+", choices=list(WORKLOADS), metavar="WORK", help=", ".join(WORKLOADS))
    parser.add_argument("--peer", nargs="+", choices=list(CONTENDERS), metavar="PEER", help=", ".join(CONTENDERS))
    parser.add_argument("--repeats", type=int, default=7, help="timed calls after the first one")
    parser.add_argument("--budget", type=float, default=10, help="no further call after so many CPU seconds")
    parser.add_argument("--limit", type=float, default=900, help="seconds after which a contender is given up")
    parser.add_argument("--results", type=Path, default=speed.RESULTS, metavar="FOLDER", help="where the JSON goes")
    parser.add_argument("--name", default="speed", help="of the JSON file")
    chosen = parser.parse_args(arguments[1:] if arguments[:1] == ["speed"] else arguments)
    works = chosen.work or speed.default_works(chosen.quick)
    labels = chosen.peer or speed.default_labels(chosen.quick)
    rows = speed.run(works, labels, chosen.repeats, chosen.budget, chosen.limit)
    speed.save(rows, chosen.results / f"{chosen.name}.json")
    print(speed.table(rows))


main(sys.argv[1:])
