"""`python -m benchmarks.endurance load|kills|faults|takeover`: what the daemon bears, on real processes and files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.endurance import faults, kills, load, takeover
from benchmarks.speed import RESULTS


def _load(chosen: argparse.Namespace) -> dict[str, object]:
    with TemporaryDirectory(prefix="load-") as folder:
        return load.run(
            Path(folder),
            deployments=chosen.deployments,
            period=chosen.period,
            seconds=chosen.seconds,
            warm_up=chosen.warm_up,
            rows=chosen.rows,
        )


def _kills(chosen: argparse.Namespace) -> dict[str, object]:
    return kills.run(
        chosen.random, chosen.each, per_round=chosen.per_round, deployments=chosen.deployments, seed=chosen.seed
    )


def _faults(chosen: argparse.Namespace) -> dict[str, object]:
    return faults.run(chosen.only, chosen.times)


def _takeover(chosen: argparse.Namespace) -> dict[str, object]:
    return takeover.run(chosen.lease, chosen.times)


_RUN = {"load": _load, "kills": _kills, "faults": _faults, "takeover": _takeover}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the JSON goes")
    what = parser.add_subparsers(dest="what", required=True)
    hits = what.add_parser("kills", help="killed and stopped at random moments and at every stage")
    hits.add_argument("--random", type=int, default=80, help="kills at any moment")
    hits.add_argument("--each", type=int, default=20, help="of both signals at each stage")
    hits.add_argument("--per-round", type=int, default=40, help="hits before all is compared with an undisturbed run")
    hits.add_argument("--deployments", type=int, default=2)
    hits.add_argument("--seed", type=int, default=1)
    fed = what.add_parser("load", help="many deployments, each fed with one batch per period")
    fed.add_argument("--deployments", type=int, default=50)
    fed.add_argument("--period", type=float, default=1.0, help="seconds between two batches of a deployment")
    fed.add_argument("--seconds", type=float, default=900.0)
    fed.add_argument("--warm-up", type=float, default=120.0, help="seconds at the beginning that do not count")
    fed.add_argument("--rows", type=int, default=200, help="of a batch")
    struck = what.add_parser("faults", help="clocks, databases, disks and sources that fail")
    struck.add_argument("--times", type=int, default=20, help="each")
    struck.add_argument(
        "--only",
        nargs="+",
        choices=list(faults.FAULTS),
        default=list(faults.FAULTS),
        metavar="FAULT",
        help=", ".join(faults.FAULTS),
    )
    hung = what.add_parser("takeover", help="from a daemon that hangs by one that stands by")
    hung.add_argument("--lease", default="20s")
    hung.add_argument("--times", type=int, default=5)
    chosen = parser.parse_args()
    found = _RUN[chosen.what](chosen)
    chosen.results.mkdir(parents=True, exist_ok=True)
    (chosen.results / f"endurance-{chosen.what}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


main()
