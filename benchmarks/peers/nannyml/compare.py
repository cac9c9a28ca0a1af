from __future__ import annotations

import os

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

from nannyml import UnivariateDriftCalculator

PACKAGES = ("nannyml", "numpy", "pandas")


def univariate(reference):
    calculator = UnivariateDriftCalculator(
        column_names=list(reference),
        continuous_methods=["kolmogorov_smirnov"],
        categorical_methods=["chi2"],
        chunk_number=1,
    )
    calculator.fit(reference)
    return calculator.calculate
