"""What one scrape of the metrics costs: many deployments, all of their many columns drifted.

python -m benchmarks.scrape [--deployments 50] [--columns 1000]

CPU seconds of this process for one answer to `GET /metrics`, the first of which, that reads the history, is left out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace

import numpy as np
from prometheus_client import generate_latest

from monitor.adapters.metrics.collector import StoreCollector, registry_of
from monitor.adapters.store.sql_store import SqlStore
from monitor.app.daemon import Health
from monitor.domain.record import BatchRecord, ClassShare
from monitor.domain.verdict import Channel, ColumnFinding, Verdict
from tests.support import stored


def _drifted(columns: int) -> BatchRecord:
    found = tuple(
        ColumnFinding(name=f"x{i}", measure="location", shift=0.1 + i / 10_000, low=0.08, high=0.3)
        for i in range(columns)
    )
    usual = stored.record(0)
    inputs = replace(usual.verdicts[Channel.INPUTS], verdict=Verdict.DRIFT, columns=found)
    return replace(
        usual,
        verdicts={**usual.verdicts, Channel.INPUTS: inputs},
        label_prior={f"c{i}": ClassShare(share=1 / 200, low=0.0, high=0.1) for i in range(200)},
        seconds=dict.fromkeys(("read", "score", "detect", "record"), 0.1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scrape", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--deployments", type=int, default=50)
    parser.add_argument("--columns", type=int, default=1000, help="of a deployment")
    parser.add_argument("--repeats", type=int, default=15)
    chosen = parser.parse_args()
    names = [f"model-{n}" for n in range(chosen.deployments)]
    with tempfile.TemporaryDirectory(prefix="scrape-") as folder:
        store = SqlStore(f"sqlite:///{folder}/monitor.db")
        one = _drifted(chosen.columns)
        stored.put(store, *(replace(one, deployment=name) for name in names))
        registry = registry_of(StoreCollector(store, {n: stored.deployment(n) for n in names}, lambda _: Health()))
        answer = generate_latest(registry)
        spent = []
        for _ in range(chosen.repeats):
            begun = time.process_time()
            generate_latest(registry)
            spent.append(time.process_time() - begun)
        store.close()
    low, middle, high = np.quantile(spent, [0.25, 0.5, 0.75])
    series = sum(not line.startswith(b"#") for line in answer.splitlines())
    print(f"{series} series, {len(answer) / 1e6:.1f} MB: {middle:.2f} CPU seconds a scrape ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
