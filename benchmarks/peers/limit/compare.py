"""What cannot be avoided by who sorts: `np.sort` of the numbers, and one look-up in a hash table per string."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.workloads import split

PACKAGES = ("numpy", "pandas")


def univariate(reference):
    numeric, strings = split(reference)

    def sort_and_hash(current):
        for name in numeric:
            np.sort(current[name].to_numpy())
        for name in strings:
            pd.factorize(current[name])

    return sort_and_hash
