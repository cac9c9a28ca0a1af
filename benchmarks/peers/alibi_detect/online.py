"""`MMDDriftOnline` on the column means of batches: `python -m benchmarks.peers.alibi_detect.online MEANS.npz FIRST`.

The file has `reference`, `clean` and one array per drift, each of shape (batches, columns); drifts begin at clean batch
`FIRST`. Prints the number of alarms on the clean stream and the delay of every drift found, as JSON.
"""

from __future__ import annotations

import copy
import json
import sys

import numpy as np
from alibi_detect.cd import MMDDriftOnline

_EXPECTED_RUN_TIME = 365  # batches, the same budget as ours
_WINDOW = 10  # batches


def main(file: str, first: int) -> None:
    streams = {name: values.astype(np.float32) for name, values in np.load(file).items()}
    detector = MMDDriftOnline(
        streams.pop("reference"),
        ert=_EXPECTED_RUN_TIME,
        window_size=_WINDOW,
        backend="pytorch",
        n_bootstraps=2000,
        verbose=False,
    )
    found = {"alarms": 0}
    for k, batch in enumerate(streams.pop("clean")):
        if k == first:
            kept = copy.deepcopy(detector)
        if detector.predict(batch)["data"]["is_drift"]:
            found["alarms"] += 1
            detector.reset_state()
    for name, batches in streams.items():
        later = copy.deepcopy(kept)
        alarms = (k for k, batch in enumerate(batches, 1) if later.predict(batch)["data"]["is_drift"])
        if (delay := next(alarms, None)) is not None:
            found[name] = delay
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
