from __future__ import annotations

import pandas as pd
from scipy import stats

from benchmarks.workloads import split

PACKAGES = ("scipy", "numpy", "pandas")


def univariate(reference):
    numeric, strings = split(reference)
    before = {name: reference[name].value_counts() for name in strings}

    def compare(current):
        found = [stats.ks_2samp(reference[name], current[name]).pvalue for name in numeric]
        for name in strings:
            table = pd.concat([before[name], current[name].value_counts()], axis=1).fillna(0)
            found.append(stats.chi2_contingency(table.to_numpy()).pvalue)
        return found

    return compare
