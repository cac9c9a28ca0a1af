"""The tests of Evidently called directly, without its report."""

from __future__ import annotations

from evidently.legacy.calculations.stattests import chi_stat_test, ks_stat_test
from evidently.legacy.core import ColumnType

from benchmarks.workloads import split

PACKAGES = ("evidently", "scipy", "numpy", "pandas")


def univariate(reference):
    numeric, strings = split(reference)

    def compare(current):
        found = [ks_stat_test.func(reference[c], current[c], ColumnType.Numerical, 0.05) for c in numeric]
        return found + [chi_stat_test.func(reference[c], current[c], ColumnType.Categorical, 0.05) for c in strings]

    return compare
