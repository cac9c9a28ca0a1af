from __future__ import annotations

import os

os.environ["DEEPCHECKS_ANALYTICS_OPTOUT"] = "1"
os.environ["DEEPCHECKS_DISABLE_LATEST"] = "1"

from deepchecks.tabular import Dataset
from deepchecks.tabular.checks import FeatureDrift

from benchmarks.workloads import split

PACKAGES = ("deepchecks", "scipy", "numpy", "pandas")


def univariate(reference):
    _, strings = split(reference)
    before = Dataset(reference, cat_features=strings)
    check = FeatureDrift()
    return lambda current: check.run(before, Dataset(current, cat_features=strings), with_display=False)
