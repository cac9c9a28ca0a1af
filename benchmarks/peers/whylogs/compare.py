from __future__ import annotations

import os

os.environ["WHYLOGS_NO_ANALYTICS"] = "True"

import whylogs
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

PACKAGES = ("whylogs", "numpy", "pandas")


def univariate(reference):
    before = whylogs.log(pandas=reference).view()

    def compare(current):
        now = whylogs.log(pandas=current).view()
        return calculate_drift_scores(target_view=now, reference_view=before, with_thresholds=True)

    return compare
